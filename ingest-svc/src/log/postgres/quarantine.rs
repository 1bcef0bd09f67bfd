//! The table of quarantined requests. One ingest-svc at a time adds to it, so that it holds no more than it may.

use std::{collections::HashMap, sync::Arc};

use encoding_rs::Encoding;
use jiff::Timestamp;
use tokio::try_join;
use tokio_postgres::{Client, Row, types::Type};

use super::{
    super::{
        batch::Batch,
        holdings::{Holding, Holdings},
        job::Job,
    },
    error::Failure,
    locks::{BEGIN, QUARANTINE},
    rows::{signed, unsigned},
};
use crate::{
    capacity::LogCapacity,
    request::{Quarantined, RawBody, RawRequest},
};

/// Adds and removes requests; the caller commits. When there are too many, drops the oldest ones of the source that has most.
pub(super) async fn change(
    client: &Client,
    jobs: &mut [&mut Job],
    capacity: &LogCapacity,
    batch: &mut Batch,
) -> Result<(), Failure> {
    let (mut added, mut released) = (Vec::new(), Vec::new());
    for job in jobs.iter() {
        match &**job {
            Job::Quarantine(work) => added.push(&work.input),
            Job::Release(work) => released.extend(work.input.iter().map(|id| signed(*id))),
            _ => {}
        }
    }
    let rows = Rows::of(&added);
    let (_, _, _, _, held) = try_join!(
        biased;
        client.batch_execute(BEGIN),
        async { client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&QUARANTINE, Type::INT8)]).await },
        async {
            client
                .execute_typed(
                    "DELETE FROM quarantine WHERE key = ANY ($1)",
                    &[(&released, Type::INT8_ARRAY)],
                )
                .await
        },
        rows.insert(client),
        client
            .query_typed("SELECT source, count(*), sum(bytes)::bigint FROM quarantine GROUP BY source", &[]),
    )?;
    let mut holdings = Vec::with_capacity(held.len());
    for row in &held {
        let (requests, bytes) = (unsigned(row.try_get(1)?), unsigned(row.try_get(2)?));
        holdings.push((Arc::from(row.try_get::<_, &str>(0)?), Holding { requests, bytes }));
    }
    let dropped = drop_oldest(client, holdings.into_iter().collect(), capacity).await?;
    for job in jobs {
        match &mut **job {
            Job::Quarantine(work) => {
                batch.quarantined(0);
                work.done(());
            }
            Job::Release(work) => work.done(()),
            _ => {}
        }
    }
    batch.dropped += dropped;
    batch.writes = true;
    Ok(())
}

/// Drops requests until the others are few enough; how many.
async fn drop_oldest(
    client: &Client,
    mut holdings: Holdings,
    capacity: &LogCapacity,
) -> Result<u64, Failure> {
    // Of each source that has too much: its requests, oldest first.
    let mut oldest: HashMap<Arc<str>, std::vec::IntoIter<Row>> = HashMap::new();
    let mut dropped = Vec::new();
    while let Some(source) = holdings.too_much(capacity) {
        if !oldest.contains_key(&source) {
            let all = "SELECT key, bytes FROM quarantine WHERE source = $1 ORDER BY key";
            let rows = client.query_typed(all, &[(&&*source, Type::TEXT)]).await?;
            oldest.insert(Arc::clone(&source), rows.into_iter());
        }
        let next = oldest.get_mut(&source).and_then(Iterator::next);
        let bytes = match next {
            Some(row) => {
                dropped.push(row.try_get::<_, i64>(0)?);
                Some(unsigned(row.try_get(1)?))
            }
            None => None,
        };
        holdings.remove(&source, bytes);
    }
    if !dropped.is_empty() {
        let delete = "DELETE FROM quarantine WHERE key = ANY ($1)";
        client.execute_typed(delete, &[(&dropped, Type::INT8_ARRAY)]).await?;
    }
    Ok(dropped.len() as u64)
}

/// Requests, column by column.
struct Rows<'a> {
    sources: Vec<&'a str>,
    received: Vec<i64>,
    queries: Vec<&'a [u8]>,
    kinds: Vec<i16>,
    bodies: Vec<Option<&'a [u8]>>,
    faults: Vec<String>,
    charsets: Vec<&'static str>,
}

impl<'a> Rows<'a> {
    fn of(requests: &[&'a Quarantined]) -> Self {
        let all = requests.iter();
        let (kinds, bodies) = all.clone().map(|quarantined| quarantined.request.body.to_log()).unzip();
        Self {
            sources: all.clone().map(|quarantined| &*quarantined.source).collect(),
            received: all.clone().map(|quarantined| quarantined.received_at.as_millisecond()).collect(),
            queries: all.clone().map(|quarantined| quarantined.request.query.as_bytes()).collect(),
            kinds,
            bodies,
            faults: all.clone().map(|quarantined| quarantined.faults_to_log()).collect(),
            charsets: all.map(|quarantined| quarantined.request.charset.map_or("", Encoding::name)).collect(),
        }
    }

    async fn insert(&self, client: &Client) -> Result<u64, tokio_postgres::Error> {
        client
            .execute_typed(
                "INSERT INTO quarantine (source, received, query, kind, body, faults, charset, bytes)
                 SELECT source, received, query, kind, body, faults, charset,
                   octet_length(query) + coalesce(octet_length(body), 0) + octet_length(faults)
                 FROM unnest($1, $2, $3, $4, $5, $6, $7)
                   AS request (source, received, query, kind, body, faults, charset)",
                &[
                    (&self.sources, Type::TEXT_ARRAY),
                    (&self.received, Type::INT8_ARRAY),
                    (&self.queries, Type::BYTEA_ARRAY),
                    (&self.kinds, Type::INT2_ARRAY),
                    (&self.bodies, Type::BYTEA_ARRAY),
                    (&self.faults, Type::TEXT_ARRAY),
                    (&self.charsets, Type::TEXT_ARRAY),
                ],
            )
            .await
    }
}

/// Which requests to read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// With an id below this one, newest first.
    Before(u64),
    /// With an id from this one on, oldest first.
    From(u64),
}

/// Reads requests.
pub(super) async fn read(
    client: &Client,
    place: Place,
    limit: u32,
) -> Result<Vec<(u64, Quarantined)>, tokio_postgres::Error> {
    let (condition, id) = match place {
        Place::Before(id) => ("key < $1 ORDER BY key DESC", id),
        Place::From(id) => ("key >= $1 ORDER BY key", id),
    };
    let select = format!(
        "SELECT key, source, received, query, kind, body, faults, charset FROM quarantine WHERE {condition} LIMIT $2"
    );
    let (id, limit) = (signed(id), i64::from(limit));
    let rows = client.query_typed(&select, &[(&id, Type::INT8), (&limit, Type::INT8)]).await?;
    rows.iter().map(quarantined).collect()
}

fn quarantined(row: &Row) -> Result<(u64, Quarantined), tokio_postgres::Error> {
    let body = RawBody::from_log(row.try_get(4)?, row.try_get(5)?);
    let query = String::from_utf8_lossy(row.try_get(3)?).into_owned();
    let charset = Encoding::for_label(row.try_get::<_, &str>(7)?.as_bytes());
    let quarantined = Quarantined {
        source: row.try_get::<_, &str>(1)?.into(),
        received_at: Timestamp::from_millisecond(row.try_get(2)?).unwrap_or(Timestamp::MIN),
        request: RawRequest { query, body, charset },
        faults: Quarantined::faults_from_log(row.try_get(6)?),
    };
    Ok((unsigned(row.try_get(0)?), quarantined))
}
