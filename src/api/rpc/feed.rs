//! Subscriptions: what a server sends by itself over a connection, sorted by whose it is.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::call::{Call, CallId, Params};
use super::client::Client;
use super::document;
use super::reply::Reply;
use super::socket::{Caller, Link, Peer, Way};
use crate::api::{Answer, ApiError, Args, ErrorKind, Method, Object, Value, VuContext};
use crate::clock;
use crate::protocol::rpc::{self, Id};

pub(in crate::api) const METHODS: &[Method] = &[
    Method { name: "receive", params: &["timeout?"], waits: true },
    Method { name: "messages", params: &["timeout?"], waits: false },
    Method { name: "next", params: &["..."], waits: true },
    Method { name: "unsubscribe", params: &["params?"], waits: true },
];
pub(in crate::api) const MESSAGES_METHODS: &[Method] =
    &[Method { name: "next", params: &["..."], waits: true }];

const FIELDS: &[&str] = &["ok", "id", "error", "open"];

/// What comes over one connection besides answers.
#[derive(Default)]
pub(super) struct Inbox {
    feeds: Vec<(Key, VecDeque<Bytes>)>,
    /// What came for subscriptions without a name yet; kept only while one is made.
    strays: Vec<(Key, Bytes)>,
    keeps_strays: bool,
    held: usize,
}

/// How a subscription's notifications are known.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// By the member `subscription` of their params.
    Id(Id),
    /// By their method.
    Method(Box<str>),
}

impl Inbox {
    /// Keeps what comes for nobody, while a subscription is made; else forgets it.
    pub(super) fn keep_strays(&mut self, keeps: bool) {
        self.keeps_strays = keeps;
        if !keeps {
            self.held -= self.strays.len();
            self.strays.clear();
        }
    }

    /// Files a notification with its params, and the message of which they are a part.
    ///
    /// # Errors
    /// If as many lie there as may.
    pub(super) fn file(
        &mut self,
        method: &str,
        params: Option<(&str, &Bytes)>,
        most: usize,
        place: &str,
    ) -> Result<(), ApiError> {
        let Some((params, data)) = params else { return Ok(()) };
        let subscribed = rpc::subscribed(params);
        let by_method = Key::Method(method.into());
        let (key, part) = match subscribed {
            _ if self.feeds.iter().any(|(key, _)| *key == by_method) => (by_method, params),
            Some((id, result)) => (Key::Id(id), result.unwrap_or(params)),
            None => (by_method, params),
        };
        let feed = self.feeds.iter_mut().find(|(known, _)| *known == key);
        if feed.is_none() && !self.keeps_strays {
            return Ok(());
        }
        if self.held >= most {
            return Err(ApiError::new(
                ErrorKind::Size,
                format!(
                    "{place}: {most} notifications wait, as many as may; receive them, \
                     unsubscribe, or raise the option limits.queued_messages"
                ),
            ));
        }
        self.held += 1;
        let part = data.slice_ref(part.as_bytes());
        match feed {
            Some((_, queue)) => queue.push_back(part),
            None => self.strays.push((key, part)),
        }
        Ok(())
    }

    fn open(&mut self, key: &Key) {
        self.keeps_strays = false;
        let mut queue = VecDeque::new();
        for (stray, part) in std::mem::take(&mut self.strays) {
            if stray == *key {
                queue.push_back(part);
            } else {
                self.held -= 1;
            }
        }
        self.feeds.push((key.clone(), queue));
    }

    fn take(&mut self, key: &Key) -> Option<Bytes> {
        let (_, queue) = self.feeds.iter_mut().find(|(known, _)| known == key)?;
        let part = queue.pop_front()?;
        self.held -= 1;
        Some(part)
    }

    fn forget(&mut self, key: &Key) {
        if let Some(at) = self.feeds.iter().position(|(known, _)| known == key) {
            self.held -= self.feeds.swap_remove(at).1.len();
        }
    }
}

/// A subscription, or what came of the attempt.
pub(super) struct Subscription {
    client: Rc<Client>,
    peer: Rc<Peer>,
    /// Where it is; nothing if it failed.
    place: Option<(Rc<Link>, Key)>,
    /// Whether the author has ended it: nothing more comes.
    ended: Cell<bool>,
    reply: Reply,
    /// For whatever has no time of its own.
    timeout: Duration,
    /// The method that ends it, if the author named one.
    farewell: Option<Rc<str>>,
}

impl Subscription {
    /// Takes over what came of the call that subscribes.
    pub(super) fn new(
        caller: Caller,
        link: Option<Rc<Link>>,
        reply: Reply,
        farewell: Option<Rc<str>>,
        listens: Option<Box<str>>,
    ) -> Self {
        let key = match (reply.result(), listens) {
            (Some(_), Some(method)) => Some(Key::Method(method)),
            (Some(result), None) => Id::read(result).map(Key::Id),
            (None, _) => None,
        };
        let place = link.and_then(|link| {
            let mut inbox = link.inbox.borrow_mut();
            match &key {
                Some(key) => inbox.open(key),
                None => inbox.keep_strays(false),
            }
            drop(inbox);
            key.map(|key| (link, key))
        });
        let Caller { client, peer, extra, .. } = caller;
        Self {
            client,
            peer,
            place,
            ended: Cell::default(),
            reply,
            timeout: extra.timeout,
            farewell,
        }
    }

    fn id(&self) -> Value {
        match &self.place {
            Some((_, Key::Id(Id::Number(number)))) => Value::Int(*number),
            Some((_, Key::Id(Id::Text(text)))) => (&**text).into(),
            _ => Value::Nil,
        }
    }

    /// Returns whether notifications may still come.
    fn is_open(&self) -> bool {
        !self.ended.get() && self.place.as_ref().is_some_and(|(link, _)| link.is_open())
    }

    /// Takes the next notification, at most after `patience` (nothing: for ever); nothing if none
    /// comes.
    fn receive(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        patience: Option<Duration>,
    ) -> Result<Answer, ApiError> {
        let Some((link, key)) = &self.place else { return Ok(Answer::Now(Value::Nil)) };
        if self.ended.get() {
            return Ok(Answer::Now(Value::Nil));
        }
        if let Some(part) = link.inbox.borrow_mut().take(key) {
            return shown(&part).map(Answer::Now);
        }
        let (vu, link, key) = (Rc::clone(vu), Rc::clone(link), key.clone());
        let until = patience.and_then(|patience| clock::now().checked_add(patience));
        Ok(Answer::Wait(Box::pin(async move {
            let _this = self;
            loop {
                let waited = link.wait(&vu, until, "subscription.receive").await?;
                if let Some(part) = link.inbox.borrow_mut().take(&key) {
                    return shown(&part);
                }
                if waited.is_err() {
                    return Ok(Value::Nil);
                }
            }
        })))
    }

    /// Calls what ends it, with its id unless the author gives other params. Does nothing if its
    /// connection is over: it went with it, and its id may be another's on the next one.
    fn unsubscribe(self: Rc<Self>, vu: &Rc<VuContext>, mut args: Args) -> Result<Answer, ApiError> {
        let given = args.take(0);
        let given = Params::read(&args.call, given)?;
        let place = args.call.clone();
        let method = match &self.farewell {
            Some(method) => Rc::clone(method),
            None => farewell(&self.reply.method).ok_or_else(|| {
                ApiError::usage(format!(
                    "{place}: what ends `{}` cannot be told from its name: subscribe with \
                     {{ unsubscribe = \"method\" }}",
                    self.reply.method
                ))
            })?,
        };
        let params = given.or_else(|| match self.id() {
            Value::Nil => None,
            id => Some(Params::Value(Value::List(vec![id]))),
        });
        if !self.place.as_ref().is_some_and(|(link, _)| link.is_open()) {
            return Ok(Answer::Now(Value::Nil));
        }
        let vu = Rc::clone(vu);
        Ok(Answer::Wait(Box::pin(async move {
            let Some((link, key)) = &self.place else { return Ok(Value::Nil) };
            let call = Call { method, params, id: CallId::Next };
            let caller = Caller::plain(&self.client, &self.peer, &vu, place);
            let made = caller.one(call, Way::Of(link)).await;
            self.ended.set(true);
            link.inbox.borrow_mut().forget(key);
            let (reply, _) = made?;
            Ok(Value::object(reply))
        })))
    }
}

/// Returns the method that ends what another began: `eth_subscribe` and `eth_unsubscribe`,
/// `logsSubscribe` and `logsUnsubscribe`.
fn farewell(method: &str) -> Option<Rc<str>> {
    [("subscribe", "unsubscribe"), ("Subscribe", "Unsubscribe")].into_iter().find_map(
        |(begin, end)| {
            let at = method.rfind(begin)?;
            Some(format!("{}{end}{}", &method[..at], &method[at + begin.len()..]).into())
        },
    )
}

fn shown(part: &Bytes) -> Result<Value, ApiError> {
    let json = std::str::from_utf8(part).expect("it is a part of a text");
    document::value("subscription.receive", json, "")
}

impl Object for Subscription {
    fn type_name(&self) -> &'static str {
        "subscription"
    }

    fn get(&self, vu: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(Some(match field {
            "ok" => self.place.is_some().into(),
            "id" => self.id(),
            "open" => self.is_open().into(),
            "error" => return self.reply.get(vu, "error"),
            _ => return Ok(None),
        }))
    }

    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        match method.name {
            "receive" => {
                let patience = args.optional_duration(0)?.unwrap_or(self.timeout);
                self.receive(vu, Some(patience))
            }
            "messages" => {
                let patience = args.optional_duration(0)?;
                Ok(Answer::Now(Value::object(Notifications { of: self, patience })))
            }
            "next" => self.receive(vu, None),
            _ => self.unsubscribe(vu, args),
        }
    }

    fn describe(&self) -> String {
        format!("<subscription {}>", self.reply.method)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Nobody can receive from it any more.
        if let Some((link, key)) = &self.place {
            link.inbox.borrow_mut().forget(key);
        }
    }
}

/// What `for note in subscription:messages(timeout)` goes over.
struct Notifications {
    of: Rc<Subscription>,
    /// Nothing: for ever.
    patience: Option<Duration>,
}

impl Object for Notifications {
    fn type_name(&self) -> &'static str {
        "notifications"
    }

    fn methods(&self) -> &'static [Method] {
        MESSAGES_METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        _: &'static Method,
        _: Args,
    ) -> Result<Answer, ApiError> {
        Rc::clone(&self.of).receive(vu, self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_subscription_follows_from_what_begins_it() {
        for (begin, end) in [
            ("eth_subscribe", Some("eth_unsubscribe")),
            ("logsSubscribe", Some("logsUnsubscribe")),
            ("public/subscribe", Some("public/unsubscribe")),
            ("subscribe", Some("unsubscribe")),
            ("listen", None),
        ] {
            assert_eq!(farewell(begin).as_deref(), end, "{begin}");
        }
    }

    fn notify(inbox: &mut Inbox, method: &str, params: &'static str) -> Result<(), ApiError> {
        let data = Bytes::from_static(params.as_bytes());
        inbox.file(method, Some((params_of(&data), &data)), 3, "x")
    }

    fn params_of(data: &Bytes) -> &str {
        std::str::from_utf8(data).unwrap()
    }

    fn key(number: i64) -> Key {
        Key::Id(Id::Number(number))
    }

    #[test]
    fn notifications_wait_for_whom_they_are_meant() {
        let mut inbox = Inbox::default();
        inbox.open(&key(1));
        inbox.open(&key(2));
        notify(&mut inbox, "tick", r#"{"subscription":2,"result":"b"}"#).unwrap();
        notify(&mut inbox, "tick", r#"{"subscription":1,"result":"a"}"#).unwrap();
        notify(&mut inbox, "tick", r#"{"subscription":3,"result":"nobody's"}"#).unwrap();
        assert_eq!(inbox.take(&key(1)).unwrap(), r#""a""#);
        assert_eq!(inbox.take(&key(1)), None);
        assert_eq!(inbox.take(&key(2)).unwrap(), r#""b""#);
        assert_eq!(inbox.held, 0);
    }

    #[test]
    fn what_comes_before_the_answer_is_not_lost() {
        let mut inbox = Inbox::default();
        inbox.keep_strays(true);
        notify(&mut inbox, "tick", r#"{"subscription":1,"result":1}"#).unwrap();
        notify(&mut inbox, "tick", r#"{"subscription":9,"result":9}"#).unwrap();
        inbox.open(&key(1));
        assert_eq!(inbox.take(&key(1)).unwrap(), "1");
        assert_eq!((inbox.held, inbox.strays.len()), (0, 0));
    }

    #[test]
    fn notifications_can_be_known_by_their_method_alone() {
        let mut inbox = Inbox::default();
        let key = Key::Method("price".into());
        inbox.open(&key);
        notify(&mut inbox, "price", r#"{"of":"x"}"#).unwrap();
        notify(&mut inbox, "other", r#"{"of":"y"}"#).unwrap();
        assert_eq!(inbox.take(&key).unwrap(), r#"{"of":"x"}"#);
        assert_eq!(inbox.held, 0);
    }

    #[test]
    fn a_full_queue_is_an_error_and_a_forgotten_subscription_makes_room() {
        let mut inbox = Inbox::default();
        inbox.open(&key(1));
        for _ in 0..3 {
            notify(&mut inbox, "tick", r#"{"subscription":1,"result":1}"#).unwrap();
        }
        let error = notify(&mut inbox, "tick", r#"{"subscription":1,"result":1}"#).unwrap_err();
        assert!(error.message.starts_with("x: 3 notifications wait"), "{}", error.message);
        inbox.forget(&key(1));
        assert_eq!(inbox.held, 0);
    }
}
