//! The demo stores: made at the first start, and not changed by `ringpad dev` after that.

use ringpad_proto::v1::{Store, UpsertStoreRequest};
use ringpad_runtime::Failure;

use crate::stores::StoreDirectory;

/// The stores of the log. If it has none, the demo stores are made first.
///
/// # Errors
/// ingest-svc does not answer, or refuses a demo store.
pub(super) async fn ensure(directory: &mut StoreDirectory) -> Result<Vec<Store>, Failure> {
    let stores = directory.list().await?;
    if !stores.is_empty() {
        return Ok(stores);
    }
    for store in demo() {
        let request = UpsertStoreRequest { store: Some(store), ..UpsertStoreRequest::default() };
        directory.upsert(request).await.map_err(|status| directory.failure(&status))?;
    }
    directory.list().await
}

fn demo() -> [Store; 2] {
    let store = |id: &str, name: &str, virtual_number: &str, line: &str| Store {
        id: id.to_owned(),
        name: name.to_owned(),
        virtual_numbers: vec![virtual_number.to_owned()],
        lines: vec![line.to_owned()],
    };
    [
        store("gangnam", "행복세차 강남점", "0507-1234-5678", "02-555-0101"),
        store("mapo", "반짝세차 마포점", "0507-2345-6789", "02-333-0202"),
    ]
}
