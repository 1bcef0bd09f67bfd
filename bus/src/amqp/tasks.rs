//! Ends the tasks that lapin spawns for a connection, if the attempt to connect fails.
//!
//! When lapin cannot connect, it leaves two tasks behind that wait for ever: a broker that is away for a day would leave
//! thousands. lapin itself ends the tasks of a connection that was opened.

use std::{
    future::Future,
    panic::resume_unwind,
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_rs::{
    Runtime, Tokio,
    traits::Executor,
    util::{RuntimeParts, Task, TaskImpl},
};
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// The runtime that lapin runs a connection on.
pub(super) type LinkRuntime = Runtime<RuntimeParts<Tasks, Tokio>>;

/// Tokio's tasks, until the attempt to connect is given up.
#[derive(Debug, Clone)]
pub(super) struct Tasks {
    handle: Handle,
    given_up: CancellationToken,
}

/// A runtime for one connection. Its tasks end at once when `given_up` is cancelled.
pub(super) fn runtime(given_up: CancellationToken) -> LinkRuntime {
    let tasks = Tasks { handle: Handle::current(), given_up };
    Runtime::new(RuntimeParts::new(tasks, Tokio::current()))
}

impl Executor for Tasks {
    type Task<T: Send + 'static> = Spawned<T>;

    fn block_on<T, F: Future<Output = T>>(&self, f: F) -> T {
        self.handle.block_on(f)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, f: F) -> Task<Spawned<T>> {
        let given_up = self.given_up.clone();
        let spawned = self.handle.spawn(async move {
            tokio::select! {
                biased;
                value = f => Some(value),
                () = given_up.cancelled() => None,
            }
        });
        Spawned(spawned).into()
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, f: F) -> Task<Spawned<T>> {
        Spawned(self.handle.spawn_blocking(|| Some(f()))).into()
    }
}

/// A task of lapin; its value is `None` if the attempt was given up first.
#[derive(Debug)]
pub(super) struct Spawned<T>(JoinHandle<Option<T>>);

impl<T: Send + 'static> TaskImpl for Spawned<T> {}

impl<T> Future for Spawned<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(Some(value)) => Poll::Ready(value),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The task that would wait for it was given up too.
            Ok(None) | Err(_) => Poll::Pending,
        }
    }
}
