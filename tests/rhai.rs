//! A Rhai script with the real modules, against the demo target.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use kingtide::api::{Event, Files, Phase, Value, VuContext, WorkerContext};
use kingtide::demo::{Demo, Settings};
use kingtide::metrics::{Registry, Shard};
use kingtide::plan::{self, Facts, Options, Plan};
use kingtide::protocol::Network;
use kingtide::script::{Argument, Host, Program};

fn worker(base: String, logs: &Rc<RefCell<Vec<String>>>) -> Rc<WorkerContext> {
    let plan = plan::resolve(&Options::default(), &Facts::default()).unwrap();
    let env = [("BASE_URL".to_owned(), base)].into();
    let plan = Arc::new(Plan { env, ..plan });
    let registry = Registry::new();
    let sink = Rc::clone(logs);
    Rc::new(WorkerContext {
        http: Rc::new(plan.http.clone()),
        expected: Rc::new(plan.http.expected_statuses.clone()),
        shard: RefCell::new(Shard::new(Arc::new(registry.clone()), plan.series_max)),
        network: Network::new(&plan.http).unwrap(),
        slices: kingtide::api::Slices::default(),
        rounds: kingtide::api::Rounds::default(),
        urls: RefCell::default(),
        data: RefCell::default(),
        files: Files::default(),
        revised: RefCell::new(Arc::clone(&plan)),
        plan,
        registry: RefCell::new(registry),
        declaring: Cell::new(true),
        events: Box::new(move |event| {
            if let Event::Log { message, .. } = event {
                sink.borrow_mut().push(message);
            }
        }),
        live: false,
        status: Arc::default(),
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

#[test]
fn the_notes_example_runs_against_the_demo() {
    let demo = Demo::start(Settings { listen: ([127, 0, 0, 1], 0).into(), ..Settings::default() });
    let demo = demo.unwrap();
    let logs = Rc::default();
    let worker = worker(format!("http://{}", demo.address()), &logs);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/notes.rhai");
    let program = Rc::new(Program::load(&script, &[]).unwrap());
    let host = Host::new(program, &worker).unwrap();
    let vus: Vec<_> = (1..=3).map(|id| VuContext::new(Rc::clone(&worker), id, id)).collect();
    let mut instances: Vec<_> = vus.iter().map(|vu| host.instance(vu).unwrap()).collect();
    worker.declaring.set(false);
    worker.shard.replace(Shard::new(Arc::new(worker.registry.borrow().clone()), 1000));
    assert!(!instances[0].options().unwrap().is_nil());
    for vu in &vus {
        vu.phase.set(Phase::Iteration);
    }
    block_on(async {
        let data = Rc::new(instances[0].call("setup", Argument::None).await.unwrap());
        let Value::Map(map) = &*data else { panic!("{data:?}") };
        assert!(map.get("token").is_some_and(|token| token.as_text().is_some()));
        for instance in &mut instances {
            instance.set_data(&data).unwrap();
        }
        let [reader, writer, other] = &mut instances[..] else { panic!("three were made") };
        let (read, write, again) = tokio::join!(
            reader.call("read", Argument::Data),
            writer.call("write", Argument::Data),
            other.call("read", Argument::Data),
        );
        assert_eq!((read.unwrap(), write.unwrap(), again.unwrap()), Default::default());
    });
    assert!(logs.borrow().is_empty(), "{logs:?}");
    drop(instances);
    demo.stop();
}
