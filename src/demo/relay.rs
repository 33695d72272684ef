//! An Ethereum-like chain to ask about: made up, but the same at every start, and growing.
//!
//! A block comes every second. All that is asked about a block, an account or a transaction is
//! derived from its number or address, so that nothing has to be kept. Every hundredth block has
//! 5,000 transactions, others 20.

use std::time::Duration;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::rpc::{Outcome, RpcError};
use crate::clock::{self, Instant};

/// The chain's number, the port that the target listens on by default.
const CHAIN: u64 = 7380;

/// The block that is the newest when the target starts.
const FIRST_BLOCK: u64 = 1_000_000;

/// A block comes this often.
const BLOCK_TIME: Duration = Duration::from_secs(1);

/// Each block of this many has [`TRANSACTIONS_MANY`] transactions, others [`TRANSACTIONS`].
const LARGE_EVERY: u64 = 100;
const TRANSACTIONS: u64 = 20;
const TRANSACTIONS_MANY: u64 = 5_000;

/// The longest delay in milliseconds.
const DELAY_MAX: u64 = 60_000;

/// Call data that begins with this is reverted: the selector of `revert()`.
const REVERTED: &str = "0xa9cc4718";

/// The chain.
pub(super) struct Relay {
    started: Instant,
}

impl Relay {
    /// Returns a chain whose newest block is [`FIRST_BLOCK`] now.
    pub(super) fn new() -> Self {
        Self { started: clock::now() }
    }

    /// Returns the number of the newest block.
    pub(super) fn newest(&self) -> u64 {
        FIRST_BLOCK + (clock::now() - self.started).as_secs() / BLOCK_TIME.as_secs()
    }
}

/// Runs a method with params that are JSON.
pub(super) async fn call(relay: &Relay, method: &str, json: &str) -> Outcome {
    let params: Value = match serde_json::from_str(json) {
        // As they were written: a value would lose digits.
        Ok(_) if method == "demo_echo" => return Ok(written(json)),
        Ok(params) => params,
        Err(error) => return Err(RpcError::params(error)),
    };
    let found = match method {
        "web3_clientVersion" => json!(concat!("kingtide-demo/", env!("CARGO_PKG_VERSION"))),
        "net_version" => json!(CHAIN.to_string()),
        "eth_chainId" => quantity(CHAIN),
        "eth_blockNumber" => quantity(relay.newest()),
        "eth_gasPrice" => quantity(1_000_000_007),
        "eth_estimateGas" => quantity(21_000),
        "eth_getBalance" => {
            block(relay, &params[1])?;
            balance(address(&params[0])?)
        }
        "eth_getTransactionCount" => {
            block(relay, &params[1])?;
            quantity(u64::from(hash(address(&params[0])?)[0]))
        }
        "eth_call" => {
            block(relay, &params[1])?;
            executed(&params[0])?
        }
        "eth_getBlockByNumber" => {
            let full = params[1].as_bool();
            let full = full.ok_or_else(|| RpcError::params("the second must be true or false"))?;
            match block(relay, &params[0])? {
                number if number > relay.newest() => Value::Null,
                number => block_of(number, full),
            }
        }
        "eth_sendRawTransaction" => match params[0].as_str() {
            Some(raw) if is_hex(raw) && raw.len() > 2 => hex(&hash(raw)).into(),
            _ => return Err(RpcError::new(-32000, "typed transaction too short")),
        },
        "eth_getLogs" => json!([]),
        "demo_number" => return number(&params[0]),
        "demo_error" => return Err(error(&params)),
        "demo_delay" => {
            let delay = params[0].as_u64().filter(|delay| *delay <= DELAY_MAX);
            let delay = delay.ok_or_else(|| {
                RpcError::params(format_args!("milliseconds from 0 to {DELAY_MAX}"))
            })?;
            tokio::time::sleep(Duration::from_millis(delay)).await;
            json!({ "delay_ms": delay })
        }
        _ => return Err(RpcError::new(-32601, format_args!("the method {method} does not exist"))),
    };
    Ok(to_raw_value(&found).expect("a value is JSON"))
}

/// Returns a number as Ethereum's RPC writes numbers.
fn quantity(number: u64) -> Value {
    format!("0x{number:x}").into()
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

fn is_hex(text: &str) -> bool {
    text.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn address(param: &Value) -> Result<&str, RpcError> {
    let address = param.as_str().filter(|text| text.len() == 42 && is_hex(text));
    address.ok_or_else(|| RpcError::params("an address is 0x and 40 hexadecimal digits"))
}

/// Reads a block's number or tag; without either the newest is meant.
fn block(relay: &Relay, param: &Value) -> Result<u64, RpcError> {
    let named = match param {
        Value::Null => Some(relay.newest()),
        Value::String(text) => match text.as_str() {
            "latest" | "pending" | "safe" | "finalized" => Some(relay.newest()),
            "earliest" => Some(0),
            other => other.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()),
        },
        _ => None,
    };
    named.ok_or_else(|| RpcError::params("a block is 0x and hexadecimal digits, or a tag"))
}

/// Returns an account's balance: more than 64 bits hold.
fn balance(address: &str) -> Value {
    let digits = hex(&hash(address)[..12]);
    format!("0x{}", digits[2..].trim_start_matches('0')).into()
}

/// Runs a contract's function: its result is the hash of what it was called with.
fn executed(transaction: &Value) -> Result<Value, RpcError> {
    let to = address(&transaction["to"])?;
    let data = transaction["data"].as_str().or(transaction["input"].as_str()).unwrap_or("0x");
    if !is_hex(data) {
        return Err(RpcError::params("data is 0x and hexadecimal digits"));
    }
    if data.starts_with(REVERTED) {
        let error = RpcError::new(3, "execution reverted");
        return Err(RpcError { data: Some(data.into()), ..error });
    }
    Ok(hex(&hash(&format!("{to}{data}"))).into())
}

fn block_of(number: u64, full: bool) -> Value {
    let count = if number.is_multiple_of(LARGE_EVERY) { TRANSACTIONS_MANY } else { TRANSACTIONS };
    let block = hex(&hash(&number.to_string()));
    let transactions: Vec<Value> = (0..count)
        .map(|index| {
            let transaction = hex(&hash(&format!("{number}/{index}")));
            if !full {
                return transaction.into();
            }
            json!({
                "blockHash": block,
                "blockNumber": quantity(number),
                "from": &transaction[..42],
                "gas": "0x5208",
                "gasPrice": "0x3b9aca07",
                "hash": transaction,
                "input": "0x",
                "nonce": quantity(index),
                "to": &block[..42],
                "transactionIndex": quantity(index),
                "value": quantity(index * 1_000_000_007),
            })
        })
        .collect();
    json!({
        "number": quantity(number),
        "hash": block,
        "parentHash": hex(&hash(&number.saturating_sub(1).to_string())),
        "timestamp": quantity(1_700_000_000 + number),
        "gasLimit": "0x1c9c380",
        "gasUsed": quantity(count * 21_000),
        "transactions": transactions,
    })
}

/// Returns JSON that was read before.
fn written(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("it was read")
}

/// Answers a number of as many digits as are given, written as a number.
fn number(digits: &Value) -> Outcome {
    let digits = digits.as_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| RawValue::from_string(digits.to_owned()).ok());
    number.ok_or_else(|| RpcError::params("the digits of a number, as a string"))
}

/// Makes the error that was asked for: code, message, data.
fn error(params: &Value) -> RpcError {
    let (Some(code), Some(message)) = (params[0].as_i64(), params[1].as_str()) else {
        return RpcError::params("a code, a message, and perhaps data");
    };
    RpcError { data: params.get(2).cloned(), ..RpcError::new(code, message) }
}
