//! A second ingest-svc, which shares the log of the first one.

use super::{IngestAddresses, Service, System};

impl System {
    /// Another ingest-svc with the same settings at addresses of its own, which is not started. Each replica of push-svc knows both
    /// from its next start on. The log must be in PostgreSQL.
    pub fn second_ingest(&mut self) -> (Service, IngestAddresses) {
        let (service, at) = self.another_ingest();
        let both = format!("http://{},http://{}", self.ingest_at.grpc, at.grpc);
        self.push.iter_mut().for_each(|replica| replica.set("INGEST_URL", &both));
        (service, at)
    }
}
