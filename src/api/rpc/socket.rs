//! Calls over a WebSocket: sent on a connection that stays, and answered among other messages.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::call::Call;
use super::client::{Client, calls};
use super::exchange::{Numbered, Told, encoded, reply};
use super::feed::{Inbox, Subscription};
use super::reply::{Failure, Reply, concluded};
use crate::api::args::joined;
use crate::api::http::handshake;
use crate::api::ws::{Came, Line, Lost, Open};
use crate::api::{Answer, ApiError, Args, Fields, Method, Value, VuContext};
use crate::clock::{self, Instant};
use crate::metrics::TagSetId;
use crate::protocol::ErrorKind;
use crate::protocol::rpc::{self, AnswerId, Document, Id, Outcome, Problem};

/// The named arguments of a call, with those of the connection: to say where these belong.
const CALL_OPTIONS: &[&str] = &joined::<9>(&["tags", "timeout", "id"], &OF_THE_CONNECTION);
const MORE_OPTIONS: &[&str] = &joined::<8>(&["tags", "timeout"], &OF_THE_CONNECTION);
const SUBSCRIBE_OPTIONS: &[&str] =
    &joined::<11>(&["tags", "timeout", "id", "unsubscribe", "notification"], &OF_THE_CONNECTION);
const OF_THE_CONNECTION: [&str; 6] = ["headers", "auth", "tls", "proxy", "socket", "name"];

/// The server at the other end.
pub(super) struct Peer {
    line: Line,
    link: RefCell<Option<Rc<Link>>>,
}

/// An open connection, and what came over it for subscriptions.
pub(super) struct Link {
    open: Rc<Open>,
    pub(super) inbox: RefCell<Inbox>,
}

/// What one call asks for besides.
pub(super) struct Extra {
    tags: Vec<(String, String)>,
    pub(super) timeout: Duration,
}

/// Which connection a call takes.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    /// The client's: if it has none, one is opened.
    Client,
    /// The same, and a subscription begins on it.
    Subscribing,
    /// That on which a subscription was made, open or not: no other one knows its id.
    Of(&'a Rc<Link>),
}

/// What came of a call.
struct Got {
    outcome: Result<Option<Bytes>, Box<Failure>>,
    told: Told,
}

impl Peer {
    pub(super) fn new(line: Line) -> Self {
        Self { line, link: RefCell::default() }
    }

    pub(super) fn url(&self) -> &str {
        self.line.url()
    }

    fn extra(&self, vu: &Rc<VuContext>, fields: &mut Fields) -> Result<Extra, ApiError> {
        if let Some(name) = OF_THE_CONNECTION.iter().find(|name| fields.has(name)) {
            return Err(ApiError::usage(format!(
                "{}: `{name}` belongs to the connection: give it to rpc.client, or leave it out",
                fields.place
            )));
        }
        let (tags, timeout) = handshake::narrowed(vu, fields, self.line.tags())?;
        Ok(Extra { tags, timeout: timeout.unwrap_or(self.line.timeout()) })
    }

    /// Returns the open connection, or opens one: what was subscribed on an older one is over.
    async fn link(
        &self,
        vu: &Rc<VuContext>,
        place: &str,
    ) -> Result<Result<Rc<Link>, Lost>, ApiError> {
        let open = match self.line.open(vu, place).await? {
            Ok(open) => open,
            Err(lost) => return Ok(Err(lost)),
        };
        if let Some(link) = &*self.link.borrow()
            && Rc::ptr_eq(&link.open, &open)
        {
            return Ok(Ok(Rc::clone(link)));
        }
        let link = Rc::new(Link { open, inbox: RefCell::default() });
        self.link.replace(Some(Rc::clone(&link)));
        Ok(Ok(link))
    }
}

/// Carries a method of a client out.
///
/// # Errors
/// If an argument is wrong.
pub(super) fn call(
    client: Rc<Client>,
    peer: Rc<Peer>,
    vu: Rc<VuContext>,
    method: &'static Method,
    mut args: Args,
) -> Result<Answer, ApiError> {
    let place = args.call.clone();
    if method.name == "batch" {
        let (names, calls) = calls(&mut args)?;
        let extra = peer.extra(&vu, &mut args.fields(1, MORE_OPTIONS)?)?;
        let caller = Caller { client, peer, vu, extra, place };
        return Ok(Answer::Wait(Box::pin(
            async move { Ok(names.answer(caller.batch(calls).await?)) },
        )));
    }
    if method.name == "subscribe" {
        let (call, mut fields) = Call::of_method(method, &mut args, SUBSCRIBE_OPTIONS)?;
        let farewell = fields.text("unsubscribe")?.map(|text| text.to_str().into());
        let listens = fields.text("notification")?.map(|text| text.to_str().into());
        let extra = peer.extra(&vu, &mut fields)?;
        let caller = Caller { client, peer, vu, extra, place };
        return Ok(Answer::Wait(Box::pin(async move {
            let (reply, link) = caller.one(call, Way::Subscribing).await?;
            Ok(Value::object(Subscription::new(caller, link, reply, farewell, listens)))
        })));
    }
    let options = if method.name == "notify" { MORE_OPTIONS } else { CALL_OPTIONS };
    let (call, mut fields) = Call::of_method(method, &mut args, options)?;
    let extra = peer.extra(&vu, &mut fields)?;
    let caller = Caller { client, peer, vu, extra, place };
    Ok(Answer::Wait(Box::pin(async move {
        let (reply, _) = caller.one(call, Way::Client).await?;
        Ok(Value::object(reply))
    })))
}

/// Who makes calls: what all those of one method of a client have in common.
pub(super) struct Caller {
    pub(super) client: Rc<Client>,
    pub(super) peer: Rc<Peer>,
    vu: Rc<VuContext>,
    pub(super) extra: Extra,
    /// For messages.
    place: Cow<'static, str>,
}

impl Caller {
    /// Returns one without further options.
    pub(super) fn plain(
        client: &Rc<Client>,
        peer: &Rc<Peer>,
        vu: &Rc<VuContext>,
        place: Cow<'static, str>,
    ) -> Self {
        let extra = Extra { tags: peer.line.tags().to_vec(), timeout: peer.line.timeout() };
        let (client, peer, vu) = (Rc::clone(client), Rc::clone(peer), Rc::clone(vu));
        Self { client, peer, vu, extra, place }
    }

    /// Makes a call. Returns its reply, and the connection if there was one.
    ///
    /// # Errors
    /// See [`Self::ask`].
    pub(super) async fn one(
        &self,
        call: Call,
        way: Way<'_>,
    ) -> Result<(Reply, Option<Rc<Link>>), ApiError> {
        let call = Numbered::of(&self.client, call);
        let tags = self.vu.tag_set_with(&self.extra.tags);
        let ids = [call.id.clone()];
        let (mut got, link) = self.ask(&ids, call.encoded(), way).await?;
        let got = got.pop().expect("as many answers as calls");
        Ok((reply(&self.vu, tags, call, got.told, got.outcome), link))
    }

    /// Sends a batch, in parts if it is too large, and returns the replies in the order of the
    /// calls.
    async fn batch(&self, calls: Vec<Call>) -> Result<Vec<Value>, ApiError> {
        let tags: TagSetId = self.vu.tag_set_with(&self.extra.tags);
        let mut replies = Vec::with_capacity(calls.len());
        for part in Numbered::parts(&self.client, calls) {
            let ids: Vec<Option<Id>> = part.iter().map(|call| call.id.clone()).collect();
            let (got, _) = self.ask(&ids, encoded(&part), Way::Client).await?;
            let cut = got.iter().any(|got| got.told.cut);
            for (call, got) in part.into_iter().zip(got) {
                replies.push(Value::object(reply(&self.vu, tags, call, got.told, got.outcome)));
            }
            if cut {
                break;
            }
        }
        Ok(replies)
    }

    /// Sends a text with calls and gathers their answers, in the order of the ids. Where a call
    /// subscribes, notifications that nobody knows are kept meanwhile: a server may send the first
    /// before it says how the subscription is called.
    ///
    /// # Errors
    /// If the VU has too many sockets, or notifications that nobody takes fill the queue.
    async fn ask(
        &self,
        ids: &[Option<Id>],
        text: Bytes,
        way: Way<'_>,
    ) -> Result<(Vec<Got>, Option<Rc<Link>>), ApiError> {
        let (vu, place) = (&self.vu, &*self.place);
        let begun = clock::now();
        let link = match way {
            Way::Of(link) => Rc::clone(link),
            Way::Client | Way::Subscribing => match self.peer.link(vu, place).await? {
                Ok(link) => link,
                Err(lost) => return Ok((all_lost(ids, &lost, begun), None)),
            },
        };
        link.inbox.borrow_mut().keep_strays(matches!(way, Way::Subscribing));
        // What lies there came before: it answers none of these.
        link.pass_by(vu, place)?;
        let begun = clock::now();
        if let Err(lost) = link.open.send(vu, text).await {
            return Ok((all_lost(ids, &lost, begun), Some(link)));
        }
        let mut gathered = Gathered::new(ids, begun);
        let until = begun.checked_add(self.extra.timeout);
        while gathered.is_open() {
            match link.open.next(vu, until, place).await? {
                Came::Message(at, data) => {
                    let document = rpc::read(&data);
                    if !link.file(vu, &document, &data, place)? {
                        gathered.take(at, &document, &data);
                    }
                }
                Came::Lost(lost) => gathered.lose(&lost),
            }
        }
        Ok((gathered.into_got(), Some(link)))
    }
}

fn all_lost(ids: &[Option<Id>], lost: &Lost, begun: Instant) -> Vec<Got> {
    let mut gathered = Gathered::new(ids, begun);
    gathered.calls.fill_with(|| None);
    gathered.lose(lost);
    gathered.into_got()
}

impl Link {
    /// Returns whether notifications may still come.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_open()
    }

    /// Waits for what comes next, until `until` (nothing: for ever), and files it.
    ///
    /// # Errors
    /// If notifications that nobody takes fill the queue. The inner: nothing more comes.
    pub(super) async fn wait(
        &self,
        vu: &Rc<VuContext>,
        until: Option<Instant>,
        place: &str,
    ) -> Result<Result<(), Lost>, ApiError> {
        match self.open.next(vu, until, place).await? {
            Came::Message(_, data) => {
                // Otherwise it is an answer that came too late.
                self.file(vu, &rpc::read(&data), &data, place)?;
                Ok(Ok(()))
            }
            Came::Lost(lost) => Ok(Err(lost)),
        }
    }

    /// Files what came while nobody waited.
    fn pass_by(&self, vu: &VuContext, place: &str) -> Result<(), ApiError> {
        while let Some(data) = self.open.take() {
            self.file(vu, &rpc::read(&data), &data, place)?;
        }
        Ok(())
    }

    /// Files a notification for its subscription; false if it is none.
    fn file(
        &self,
        vu: &VuContext,
        document: &Result<Document<'_>, Problem>,
        data: &Bytes,
        place: &str,
    ) -> Result<bool, ApiError> {
        let Ok(Document::One(message)) = document else { return Ok(false) };
        let Some(method) = &message.method else { return Ok(false) };
        if message.id != AnswerId::Missing {
            // The server calls us. Nobody here answers.
            return Ok(true);
        }
        let most = vu.worker.plan.limits.queued_messages;
        let params = message.params.map(|params| (params, data));
        self.inbox.borrow_mut().file(method, params, most, place)?;
        Ok(true)
    }
}

/// What is gathered of the answers to some calls.
struct Gathered<'a> {
    ids: &'a [Option<Id>],
    begun: Instant,
    calls: Vec<Option<Got>>,
}

impl<'a> Gathered<'a> {
    /// Begins: notifications have all that they will ever have.
    fn new(ids: &'a [Option<Id>], begun: Instant) -> Self {
        let calls = ids.iter().map(|id| match id {
            Some(_) => None,
            None => Some(Got { outcome: Ok(None), told: Told::default() }),
        });
        Self { ids, begun, calls: calls.collect() }
    }

    fn is_open(&self) -> bool {
        self.calls.iter().any(Option::is_none)
    }

    /// Takes a message that may answer some of the calls, with the bytes that it was read from.
    fn take(&mut self, at: Instant, document: &Result<Document<'_>, Problem>, data: &Bytes) {
        let took = at.saturating_duration_since(self.begun);
        match document {
            Ok(Document::Nothing) => {}
            Ok(Document::One(message)) => match &message.id {
                AnswerId::Known(id) => {
                    let asked = |(call, known): (&Option<Got>, &Option<Id>)| {
                        call.is_none() && known.as_ref() == Some(id)
                    };
                    // Otherwise it answers a call that waited no longer.
                    if let Some(at) = self.calls.iter().zip(self.ids).position(asked) {
                        self.put(at, rpc::answer_to(id, document), took, data);
                    }
                }
                AnswerId::Foreign => {}
                // The server could not read what it was sent.
                AnswerId::Null | AnswerId::Missing => {
                    self.put_all(took, data, |id| rpc::answer_to(id, document));
                }
            },
            Ok(Document::Many(messages)) => {
                let ours = |id: &Id| self.ids.iter().flatten().any(|known| known == id);
                if messages.iter().any(|one| matches!(&one.id, AnswerId::Known(id) if ours(id))) {
                    let outcomes = rpc::answers_to(self.ids, document);
                    for (at, outcome) in outcomes.into_iter().enumerate() {
                        if let (Some(outcome), None) = (outcome, &self.calls[at]) {
                            self.put(at, outcome, took, data);
                        }
                    }
                }
            }
            Err(problem) => self.put_all(took, data, |_| Outcome::Broken(*problem)),
        }
    }

    fn put_all<'d>(&mut self, took: Duration, data: &Bytes, outcome: impl Fn(&Id) -> Outcome<'d>) {
        for (at, id) in self.ids.iter().enumerate() {
            if let (Some(id), None) = (id, &self.calls[at]) {
                self.put(at, outcome(id), took, data);
            }
        }
    }

    fn put(&mut self, at: usize, outcome: Outcome<'_>, took: Duration, data: &Bytes) {
        let outcome = concluded(outcome, data);
        let told = Told { status: None, duration: Some(took), cut: false };
        self.calls[at] = Some(Got { outcome, told });
    }

    /// Gives the calls without an answer up.
    fn lose(&mut self, lost: &Lost) {
        let duration = Some(clock::now().saturating_duration_since(self.begun));
        let cut = lost.error.kind == ErrorKind::Cut;
        for call in self.calls.iter_mut().filter(|call| call.is_none()) {
            let failure = Failure::of_network(&lost.error, lost.code, &Bytes::new());
            let told = Told { status: None, duration, cut };
            *call = Some(Got { outcome: Err(Box::new(failure)), told });
        }
    }

    fn into_got(self) -> Vec<Got> {
        self.calls.into_iter().flatten().collect()
    }
}
