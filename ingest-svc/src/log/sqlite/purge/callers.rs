//! Deletes callers that have not called for as long as calls are kept.
//!
//! There is no index by their last call, because every accept would have to write it. Instead, all callers are looked through now
//! and then, a little at a time.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::super::rows::ReversedNumber;

/// Callers looked at in one step: a millisecond or two.
const LOOKS: usize = 1_000;
/// The pause after all have been looked through, unless calls are kept for a shorter time.
const REST: Duration = Duration::from_secs(60 * 60);

/// How far it has come.
#[derive(Default)]
pub(in super::super) struct Sweep {
    /// The caller that was looked at last.
    after: Option<(i64, ReversedNumber)>,
    /// When it begins again; `None`: it is under way, or due.
    rests_until: Option<Instant>,
}

/// What one step did.
#[derive(Default)]
pub(super) struct Swept {
    pub(super) deleted: usize,
    /// There may be more to look at.
    pub(super) more: bool,
}

/// Looks at up to [`LOOKS`] callers, and deletes those whose last call was before `before` (Unix seconds).
pub(super) fn step(connection: &Connection, sweep: &mut Sweep, before: i64) -> rusqlite::Result<Swept> {
    let now = Instant::now();
    if sweep.rests_until.is_some_and(|until| now < until) {
        return Ok(Swept::default());
    }
    let (store, reversed) = sweep.after.clone().unwrap_or((i64::MIN, ReversedNumber::default()));
    let mut look = connection.prepare_cached(
        "SELECT store, reversed, last_call < ?3 FROM callers
         WHERE (store, reversed) > (?1, ?2) ORDER BY store, reversed LIMIT ?4",
    )?;
    let seen = look.query_map(params![store, reversed, before, LOOKS], |row| {
        Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
    })?;
    let seen: Vec<((i64, ReversedNumber), bool)> = seen.collect::<Result<_, _>>()?;
    let mut delete = connection.prepare_cached("DELETE FROM callers WHERE store = ?1 AND reversed = ?2")?;
    let mut deleted = 0;
    for ((store, reversed), _) in seen.iter().filter(|(_, is_old)| *is_old) {
        deleted += delete.execute(params![store, reversed])?;
    }
    let is_last = seen.len() < LOOKS;
    sweep.after = seen.into_iter().next_back().map(|(caller, _)| caller).filter(|_| !is_last);
    sweep.rests_until = is_last.then(|| {
        let kept = jiff::Timestamp::now().as_second().saturating_sub(before);
        now + REST.min(Duration::from_secs(u64::try_from(kept).unwrap_or_default()))
    });
    Ok(Swept { deleted, more: !is_last })
}
