//! A pad that is the npm package `@ringpad/pad`, in Node, and not the run's own [`Tablet`](super::tablet::Tablet): what it
//! hands to its page goes into the [`Ledger`].

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use ringpad_proto::v1::{SubscribeResponse, subscribe_response::Event};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::{Instant, sleep},
};

use super::ledger::{Ledger, StreamFault};
use crate::wait::must;

/// One pad of the run.
#[derive(Debug)]
pub(super) struct NpmPad {
    /// Its number in the ledger.
    pub(super) number: usize,
    /// When it connects, see [`Tablet`](super::tablet::Tablet).
    pub(super) comes_after: Duration,
    pub(super) nginx: SocketAddr,
    pub(super) token: String,
    pub(super) ledger: Ledger,
    /// The program.
    pub(super) script: PathBuf,
}

impl NpmPad {
    /// Stays until it is dropped.
    pub(super) async fn stay(self) {
        sleep(self.comes_after).await;
        let mut node = Command::new("node");
        node.arg("--experimental-websocket").arg(&self.script).arg(format!("http://{}", self.nginx));
        // On standard error Node warns that its WebSocket is new, and the pad reports the state of its connection.
        node.arg(&self.token).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut node = must("node", node.spawn());
        let printed = node.stdout.take().expect("it was asked for");
        let mut lines = BufReader::new(printed).lines();
        let mut epoch = None;
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str::<SubscribeResponse>(&line).map(|response| response.event) {
                Ok(Some(event)) => self.take(event, &mut epoch),
                other => self.broken(format!("the npm package printed {line:?}: {other:?}")),
            }
        }
        self.broken(format!("the npm package ended: {:?}", node.wait().await));
    }

    /// Takes what the package hands on; `epoch` is that of its last snapshot.
    fn take(&self, event: Event, epoch: &mut Option<String>) {
        match event {
            Event::Snapshot(snapshot) => {
                self.ledger.begin(self.number, &snapshot);
                let former = epoch.replace(snapshot.epoch.clone());
                if former.as_ref().is_some_and(|former| *former != snapshot.epoch) {
                    return self.ledger.renew(self.number, &snapshot);
                }
                let calls = snapshot.open_calls.len() + snapshot.recent_calls.len();
                if calls > 0 && self.comes_after.is_zero() {
                    self.broken(format!("the npm package began with {calls} calls"));
                }
            }
            Event::Update(update) => self.ledger.show(self.number, &update),
            Event::Early(early) => {
                let id = early.call.unwrap_or_default().id;
                self.ledger.show_early(self.number, id, Instant::now());
            }
            other => self.broken(format!("the npm package passed on {other:?}")),
        }
    }

    fn broken(&self, words: String) {
        self.ledger.wrong(self.number, StreamFault::Broken, words);
    }
}
