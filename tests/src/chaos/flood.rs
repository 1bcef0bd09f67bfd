//! A pad that lists calls and claims unknown ones, twenty times as often as a pad may, for the whole run. It must be refused, and
//! others must not notice it: a person at a pad of the same store continues, and [`lateness`](super::lateness) judges every ring
//! as if this pad were not there.

use std::{
    collections::BTreeMap,
    error::Error,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use ringpad_proto::v1::{ClaimCallRequest, PadServiceListCallsRequest};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    person::{client, is_worth_another_try},
    verdict::Verdict,
};
use crate::token::with_token;

/// How many requests it has under way: twice as many as a pad may have on each of three replicas, so that it also asks too much
/// if they answer slowly.
const CONCURRENT: usize = 24;
/// The time between two requests of each: 100 a second together, half of what nginx allows an address, so that the refusals come
/// from push-svc.
const PAUSE: Duration = Duration::from_millis(240);

/// The pad.
#[derive(Debug)]
pub(super) struct Flood {
    /// Where pads find nginx with native gRPC.
    pub(super) nginx: SocketAddr,
    pub(super) token: String,
    /// How often each code was the answer; codes that no fault explains are marked.
    pub(super) answers: Mutex<BTreeMap<String, usize>>,
}

impl Flood {
    /// Asks until `stop`.
    pub(super) async fn run(&self, stop: watch::Receiver<bool>) {
        join_all((0..CONCURRENT).map(|_| self.ask(stop.clone()))).await;
    }

    async fn ask(&self, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut pad = client(self.nginx);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let answer = if fastrand::bool() {
                let request = PadServiceListCallsRequest::default();
                pad.list_calls(with_token(&self.token, request)).await.map(drop)
            } else {
                let [call_id, request_id] = [Uuid::new_v4(), Uuid::new_v4()].map(|id| id.to_string());
                let request = ClaimCallRequest { call_id, request_id };
                pad.claim_call(with_token(&self.token, request)).await.map(drop)
            };
            if answer.as_ref().err().is_some_and(is_worth_another_try) {
                pad = client(self.nginx);
            }
            let words = words(&answer);
            *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry(words).or_default() += 1;
        }
    }

    /// Counts the answers, and adds those that should not have come.
    pub(super) fn judge(&self, verdict: &mut Verdict) {
        verdict.flood = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !verdict.flood.contains_key(&format!("{:?}", Code::ResourceExhausted)) {
            verdict.left_over.push("a pad that asks too much was never refused".to_owned());
        }
        for answer in verdict.flood.keys().filter(|answer| answer.starts_with(UNEXPLAINED)) {
            verdict.left_over.push(format!("a pad that asks too much was answered {answer}"));
        }
    }
}

/// Marks an answer that neither too many requests nor a fault explains.
const UNEXPLAINED: &str = "unexplained: ";

fn words(answer: &Result<(), Status>) -> String {
    match answer {
        Ok(()) => format!("{:?}", Code::Ok),
        // The client's own status: there was no answer.
        Err(status) if status.source().is_some() => "no answer".to_owned(),
        Err(status) if matches!(status.code(), Code::NotFound | Code::ResourceExhausted) => {
            format!("{:?}", status.code())
        }
        Err(status) if is_worth_another_try(status) => format!("{:?}", status.code()),
        Err(status) => format!("{UNEXPLAINED}{:?}", status.code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answers: &[Result<(), Status>]) -> Verdict {
        let mut verdict = Verdict { events: 1, ..Verdict::default() };
        let mut counts = BTreeMap::new();
        for answer in answers {
            *counts.entry(words(answer)).or_default() += 1;
        }
        let nginx = SocketAddr::from(([127, 0, 0, 1], 9));
        Flood { nginx, token: String::new(), answers: Mutex::new(counts) }.judge(&mut verdict);
        verdict
    }

    #[test]
    fn it_must_be_refused_and_may_get_no_unexplained_answer() {
        let too_much = || Err(Status::resource_exhausted("too much"));
        let verdict = judged(&[Ok(()), too_much(), Err(Status::unavailable("away")), too_much()]);
        assert!(verdict.is_clean() && verdict.flood["ResourceExhausted"] == 2, "{verdict}");
        assert!(!judged(&[Ok(())]).is_clean(), "it was never refused");
        assert!(!judged(&[too_much(), Err(Status::internal("a bug"))]).is_clean(), "an unexplained answer");
    }
}
