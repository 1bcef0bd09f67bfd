//! Which readers wait for which.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::{
    log::tests::{Backend, with_store},
    pad::Credential,
};

#[tokio::test]
async fn a_credential_is_checked_while_all_turns_of_searches_are_taken() {
    let (_place, opened) = with_store(Backend::Sqlite).await;
    let reader = opened.log.reader();
    let _held = [reader.searches.wait("gangnam").await, reader.searches.wait(ANYBODY).await];
    let credential = Credential::random().unwrap().hash();
    let answer = timeout(Duration::from_secs(10), reader.holder(credential, 0)).await.unwrap();
    assert_eq!(answer.unwrap(), None);
    opened.close().await;
}
