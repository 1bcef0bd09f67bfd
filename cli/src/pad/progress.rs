//! How far the pad has come in its store, over any number of streams: each position is taken once and in order.

use ringpad_proto::v1::{SubscribeRequest, SubscribeResponse, subscribe_response::Event};
use uuid::Uuid;

/// The last position the pad has, and what it is called by.
#[derive(Debug)]
pub(super) struct Progress {
    session: Uuid,
    reached: Option<Reached>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reached {
    epoch: String,
    position: u64,
}

/// How far one stream has come. Two overlap while a pad moves on.
#[derive(Debug, Default)]
pub(super) struct Cursor(Option<u64>);

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// New to the pad.
    Show,
    /// The pad has it from another stream.
    Skip,
}

/// A stream that does not keep its promise, and is to be opened anew from the pad's position.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// Something came before the snapshot.
    #[error("the stream did not begin with a snapshot")]
    NoSnapshot,
    /// A position is missing, or came twice on one stream.
    #[error("position {expected} was due, {got} came")]
    Gap { expected: u64, got: u64 },
}

impl Progress {
    /// A pad that has nothing yet, in a session of its own.
    pub(super) fn new() -> Self {
        Self { session: Uuid::new_v4(), reached: None }
    }

    /// What to ask a stream for: whatever comes after what the pad has.
    pub(super) fn request(&self) -> SubscribeRequest {
        SubscribeRequest {
            after_position: self.reached.as_ref().map(|reached| reached.position),
            epoch: self.reached.as_ref().map(|reached| reached.epoch.clone()).unwrap_or_default(),
            session: self.session.to_string(),
        }
    }

    /// Takes the next message of the stream that `cursor` belongs to.
    ///
    /// # Errors
    /// The stream is [`Broken`]; nothing was taken.
    pub(super) fn take(
        &mut self,
        cursor: &mut Cursor,
        message: &SubscribeResponse,
    ) -> Result<Verdict, Broken> {
        match (&message.event, cursor.0) {
            (Some(Event::Snapshot(snapshot)), None) => {
                cursor.0 = Some(snapshot.position);
                if !snapshot.resumed {
                    self.reached =
                        Some(Reached { epoch: snapshot.epoch.clone(), position: snapshot.position });
                }
                Ok(Verdict::Show)
            }
            (Some(Event::Snapshot(_)), Some(_)) | (_, None) => Err(Broken::NoSnapshot),
            (Some(Event::Update(update)), Some(last)) => {
                let expected = last.saturating_add(1);
                if update.position != expected {
                    return Err(Broken::Gap { expected, got: update.position });
                }
                cursor.0 = Some(update.position);
                Ok(self.advance(update.position))
            }
            // It shows a gap on a quiet line.
            (Some(Event::Heartbeat(heartbeat)), Some(last)) if heartbeat.position > last => {
                Err(Broken::Gap { expected: last.saturating_add(1), got: heartbeat.position })
            }
            _ => Ok(Verdict::Show),
        }
    }

    fn advance(&mut self, position: u64) -> Verdict {
        match &mut self.reached {
            Some(reached) if position > reached.position => {
                reached.position = position;
                Verdict::Show
            }
            _ => Verdict::Skip,
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
        let mut cursor = Cursor::default();
        for next in [snapshot(0, "a"), heartbeat(0), update(1), update(2)] {
            assert_eq!(progress.take(&mut cursor, &next), Ok(Verdict::Show));
        }
        assert_eq!(after(&progress), (Some(2), "a".to_owned()));
    }

    #[test]
    fn what_two_overlapping_streams_bring_is_shown_once() {
        let mut progress = Progress::new();
        let (mut old, mut new) = (Cursor::default(), Cursor::default());
        let steps: [(bool, SubscribeResponse, Verdict); 5] = [
            (false, snapshot(4, "a"), Verdict::Show),
            (false, update(5), Verdict::Show),
            (true, resumed(4), Verdict::Show),
            (true, update(5), Verdict::Skip),
            (true, update(6), Verdict::Show),
        ];
        for (on_new, next, verdict) in steps {
            let cursor = if on_new { &mut new } else { &mut old };
            assert_eq!(progress.take(cursor, &next), Ok(verdict));
        }
        assert_eq!(after(&progress), (Some(6), "a".to_owned()));
    }

    #[test]
    fn a_gap_is_noticed_and_the_position_stays() {
        let mut progress = Progress::new();
        let mut cursor = Cursor::default();
        assert_eq!(progress.take(&mut cursor, &update(1)), Err(Broken::NoSnapshot));
        assert_eq!(progress.take(&mut cursor, &snapshot(7, "a")), Ok(Verdict::Show));
        assert_eq!(progress.take(&mut cursor, &update(9)), Err(Broken::Gap { expected: 8, got: 9 }));
        assert_eq!(progress.take(&mut cursor, &update(7)), Err(Broken::Gap { expected: 8, got: 7 }));
        assert_eq!(progress.take(&mut cursor, &heartbeat(8)), Err(Broken::Gap { expected: 8, got: 8 }));
        assert_eq!(after(&progress), (Some(7), "a".to_owned()));
    }

    #[test]
    fn another_log_begins_anew() {
        let mut progress = Progress::new();
        assert_eq!(progress.take(&mut Cursor::default(), &snapshot(7, "a")), Ok(Verdict::Show));
        assert_eq!(progress.take(&mut Cursor::default(), &snapshot(2, "b")), Ok(Verdict::Show));
        assert_eq!(after(&progress), (Some(2), "b".to_owned()));
    }
}
