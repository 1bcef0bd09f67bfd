//! The last position that the pad has in its store, over any number of streams: each position is taken once and in order.

use ringpad_proto::v1::{SubscribeRequest, SubscribeResponse, subscribe_response::Event};
use uuid::Uuid;

/// The last position that the pad has, and the session that names the pad to the server.
#[derive(Debug)]
pub(super) struct Progress {
    session: Uuid,
    last: Option<LastPosition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct LastPosition {
    epoch: String,
    position: u64,
}

/// The last position that one stream brought. Two streams overlap while a pad moves to another replica.
#[derive(Debug, Default)]
pub(super) struct StreamPosition(Option<u64>);

/// Whether the pad has a message already.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// It is to be shown.
    New,
    /// The pad has it from another stream.
    Repeated,
}

/// A stream that breaks the protocol. The pad opens another one from its position.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolViolation {
    /// Something came before the snapshot.
    #[error("the stream did not begin with a snapshot")]
    NoSnapshot,
    /// A position is missing, or came twice on one stream.
    #[error("expected position {expected}, received {got}")]
    Gap { expected: u64, got: u64 },
}

impl Progress {
    /// A pad that has no position yet, in a new session.
    pub(super) fn new() -> Self {
        Self { session: Uuid::new_v4(), last: None }
    }

    /// The request for all that follows the pad's position.
    pub(super) fn request(&self) -> SubscribeRequest {
        SubscribeRequest {
            after_position: self.last.as_ref().map(|last| last.position),
            epoch: self.last.as_ref().map(|last| last.epoch.clone()).unwrap_or_default(),
            session: self.session.to_string(),
        }
    }

    /// Takes the next message of the stream that `cursor` belongs to.
    ///
    /// # Errors
    /// The stream breaks the protocol; nothing was taken.
    pub(super) fn take(
        &mut self,
        cursor: &mut StreamPosition,
        message: &SubscribeResponse,
    ) -> Result<Novelty, ProtocolViolation> {
        match (&message.event, cursor.0) {
            (Some(Event::Snapshot(snapshot)), None) => {
                cursor.0 = Some(snapshot.position);
                if !snapshot.resumed {
                    self.last =
                        Some(LastPosition { epoch: snapshot.epoch.clone(), position: snapshot.position });
                }
                Ok(Novelty::New)
            }
            (Some(Event::Snapshot(_)), Some(_)) | (_, None) => Err(ProtocolViolation::NoSnapshot),
            (Some(Event::Update(update)), Some(last)) => {
                let expected = last.saturating_add(1);
                if update.position != expected {
                    return Err(ProtocolViolation::Gap { expected, got: update.position });
                }
                cursor.0 = Some(update.position);
                Ok(self.advance(update.position))
            }
            // So a gap is found even if no update follows it.
            (Some(Event::Heartbeat(heartbeat)), Some(last)) if heartbeat.position > last => {
                Err(ProtocolViolation::Gap { expected: last.saturating_add(1), got: heartbeat.position })
            }
            _ => Ok(Novelty::New),
        }
    }

    fn advance(&mut self, position: u64) -> Novelty {
        match &mut self.last {
            Some(last) if position > last.position => {
                last.position = position;
                Novelty::New
            }
            _ => Novelty::Repeated,
        }
    }
}

#[cfg(test)]
mod tests {
    use ringpad_proto::v1::{Heartbeat, Snapshot, Update};

    use super::*;

    fn message(event: Event) -> SubscribeResponse {
        SubscribeResponse { event: Some(event) }
    }

    fn snapshot(position: u64, epoch: &str) -> SubscribeResponse {
        message(Event::Snapshot(Snapshot { position, epoch: epoch.to_owned(), ..Snapshot::default() }))
    }

    fn resumed(position: u64) -> SubscribeResponse {
        message(Event::Snapshot(Snapshot { position, resumed: true, ..Snapshot::default() }))
    }

    fn update(position: u64) -> SubscribeResponse {
        message(Event::Update(Update { position, ..Update::default() }))
    }

    fn heartbeat(position: u64) -> SubscribeResponse {
        message(Event::Heartbeat(Heartbeat { position, ..Heartbeat::default() }))
    }

    fn after(progress: &Progress) -> (Option<u64>, String) {
        let request = progress.request();
        (request.after_position, request.epoch)
    }

    #[test]
    fn a_pad_comes_back_with_what_it_has() {
        let mut progress = Progress::new();
        assert_eq!(after(&progress), (None, String::new()));
        let mut cursor = StreamPosition::default();
        for next in [snapshot(0, "a"), heartbeat(0), update(1), update(2)] {
            assert_eq!(progress.take(&mut cursor, &next), Ok(Novelty::New));
        }
        assert_eq!(after(&progress), (Some(2), "a".to_owned()));
    }

    #[test]
    fn an_update_on_two_overlapping_streams_is_shown_once() {
        let mut progress = Progress::new();
        let (mut old, mut new) = (StreamPosition::default(), StreamPosition::default());
        let steps: [(bool, SubscribeResponse, Novelty); 5] = [
            (false, snapshot(4, "a"), Novelty::New),
            (false, update(5), Novelty::New),
            (true, resumed(4), Novelty::New),
            (true, update(5), Novelty::Repeated),
            (true, update(6), Novelty::New),
        ];
        for (on_new, next, novelty) in steps {
            let cursor = if on_new { &mut new } else { &mut old };
            assert_eq!(progress.take(cursor, &next), Ok(novelty));
        }
        assert_eq!(after(&progress), (Some(6), "a".to_owned()));
    }

    #[test]
    fn a_gap_is_found_and_the_position_stays() {
        let mut progress = Progress::new();
        let mut cursor = StreamPosition::default();
        assert_eq!(progress.take(&mut cursor, &update(1)), Err(ProtocolViolation::NoSnapshot));
        assert_eq!(progress.take(&mut cursor, &snapshot(7, "a")), Ok(Novelty::New));
        assert_eq!(
            progress.take(&mut cursor, &update(9)),
            Err(ProtocolViolation::Gap { expected: 8, got: 9 })
        );
        assert_eq!(
            progress.take(&mut cursor, &update(7)),
            Err(ProtocolViolation::Gap { expected: 8, got: 7 })
        );
        assert_eq!(
            progress.take(&mut cursor, &heartbeat(8)),
            Err(ProtocolViolation::Gap { expected: 8, got: 8 })
        );
        assert_eq!(after(&progress), (Some(7), "a".to_owned()));
    }

    #[test]
    fn another_log_starts_from_its_own_snapshot() {
        let mut progress = Progress::new();
        assert_eq!(progress.take(&mut StreamPosition::default(), &snapshot(7, "a")), Ok(Novelty::New));
        assert_eq!(progress.take(&mut StreamPosition::default(), &snapshot(2, "b")), Ok(Novelty::New));
        assert_eq!(after(&progress), (Some(2), "b".to_owned()));
    }
}
