//! The text that `ringpad dev` prints when all of it is ready: the addresses of the pads, and how to ring.

use std::{
    borrow::Cow,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use http::StatusCode;
use push_svc::admission::token::{Pad, PadTokens};
use ringpad_proto::v1::Store;
use ringpad_runtime::Failure;
use tokio::time::{sleep, timeout};

use super::{data_directory::DataDirectory, ports::Ports, stores};
use crate::{
    endpoint::Endpoint,
    http_client,
    internal::{self, Internal},
    stores::StoreDirectory,
    terminal::{harmless, print},
};

/// How long the services may take to be ready; normally less than a second.
const PATIENCE: Duration = Duration::from_secs(15);
/// The time between two requests.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a demo token is valid.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Stores whose pads are listed; a kept log may have many.
const STORES: usize = 10;

/// Waits until all is ready, and prints the text.
///
/// # Errors
/// It takes too long, or the demo stores cannot be made.
pub(super) async fn when_ready(ports: &Ports, data: &DataDirectory) -> Result<(), Failure> {
    let mut directory = StoreDirectory::new(Internal::new(ports.directory()?, None, internal::PATIENCE)?);
    let stores = stores::ensure(&mut directory).await?;
    for edge in ports.edges() {
        ready(edge).await?;
    }
    print("RingPad is ready. Open a pad page, or several:\n")?;
    for line in pad_lines(ports, data, &stores)? {
        print(line)?;
    }
    if let Some((store, number)) =
        stores.iter().find_map(|store| Some((store, store.virtual_numbers.first()?)))
    {
        print(format!("\nRing {}, a new call each time:\n", harmless(&store.name)))?;
        print(curl_line(ports.http, number))?;
        print(format!("\nA token for one more pad of {}:\n", harmless(&store.name)))?;
        print(token_line(data.secret_file(), &store.id))?;
    }
    print("\nCtrl-C ends it.")
}

/// Asks `/readyz` until the answer is 200.
async fn ready(edge: SocketAddr) -> Result<(), Failure> {
    let wrong = |error: String| Failure::other(edge, error);
    let uri =
        Endpoint::at(edge).map_err(wrong)?.join("/readyz").map_err(|error| Failure::other(edge, error))?;
    let mut reason = "no answer".to_owned();
    let asking = async {
        loop {
            match http_client::get(uri.clone()).await {
                Ok(answer) if answer.status() == StatusCode::OK => return,
                Ok(answer) => reason = String::from_utf8_lossy(answer.body()).into_owned(),
                Err(error) => reason = error.to_string(),
            }
            sleep(PAUSE).await;
        }
    };
    timeout(PATIENCE, asking)
        .await
        .map_err(|_| Failure::other(format!("http://{edge} is not ready"), &*reason))
}

/// A line for each pad page: every store on every replica, each a pad of its own.
fn pad_lines(ports: &Ports, data: &DataDirectory, stores: &[Store]) -> Result<Vec<String>, Failure> {
    let tokens = PadTokens::new(data.secret()).map_err(|fault| Failure::other("pad-token.secret", fault))?;
    let expires = SystemTime::now() + TOKEN_LIFE;
    let mut lines = Vec::new();
    for store in stores.iter().take(STORES) {
        for (replica, number) in ports.replicas.iter().zip(1..) {
            let pad = Pad {
                id: format!("pad-{number}").into(),
                name: format!("패드 {number}").into(),
                store: store.id.as_str().into(),
                expires,
            };
            let token = tokens.sign(&pad).map_err(|fault| Failure::other("cannot make a token", fault))?;
            lines.push(format!("{}: http://{}/#token={token}", harmless(&store.name), replica.pads));
        }
    }
    Ok(lines)
}

/// Rings a store from a new number each time. Only what POSIX has, so that it runs in every shell, on Linux and macOS:
/// no `$RANDOM` (not in dash), no `date +%N` (not on macOS), and Korea's time zone by its offset, because a small
/// container has no zone files and would take UTC without a word.
fn curl_line(http: SocketAddr, virtual_number: &str) -> String {
    let random = |bytes: u8| format!("$(od -An -N{bytes} -tu{bytes} /dev/urandom | tr -d ' ')");
    let seq = format!("dev-{}", random(8));
    let sdt = "$(TZ=KST-9 date +%Y%m%d%H%M%S)";
    let from = format!("010$((20000000 + {} % 80000000))", random(4));
    format!("curl \"http://{http}/v1/cdr/bizcall?seq={seq}&sdt={sdt}&vn={virtual_number}&fromn={from}\"")
}

/// This program, as a shell finds it.
fn program() -> PathBuf {
    // If the system does not know the file, it must be in the PATH.
    std::env::current_exe().unwrap_or_else(|_| "ringpad".into())
}

/// The command that creates a token with the key of push-svc. It reads the key from its file, so that the key is not on the screen.
fn token_line(secret: &Path, store: &str) -> String {
    let [program, secret] = [&program(), secret].map(|path| path.display().to_string());
    // Words of a POSIX shell. No path has a NUL in it, which alone has no quotes.
    let [program, secret, store] =
        [&program, &secret, store].map(|word| shlex::try_quote(word).unwrap_or(Cow::Borrowed(word)));
    format!("PAD_TOKEN_SECRET=$(cat {secret}) {program} token --store {store} --pad counter")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn in_every_shell_the_line_rings_a_new_call_each_time() {
        let line = curl_line("127.0.0.1:8080".parse().unwrap(), "0507-1234-5678").replacen("curl", "echo", 1);
        let shells = ["sh", "bash", "zsh", "dash"];
        let said = |shell: &str| {
            let output = Command::new(shell).args(["-c", &line]).output().ok()?;
            Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        };
        // `sh` is everywhere; the others where they are installed.
        assert!(said("sh").is_some());
        for url in shells.into_iter().filter_map(said) {
            let query = url.split_once('?').unwrap().1;
            let values: Vec<_> = query.split('&').map(|pair| pair.split_once('=').unwrap().1).collect();
            let [seq, sdt, vn, from] = values[..] else { panic!("{url}") };
            assert!(seq.len() > 8 && seq.len() <= 64 && seq.chars().all(|c| c.is_ascii_graphic()), "{url}");
            assert!(sdt.len() == 14 && sdt.bytes().all(|b| b.is_ascii_digit()), "{url}");
            assert_eq!(vn, "0507-1234-5678");
            assert!(from.len() == 11 && from.bytes().all(|b| b.is_ascii_digit()), "{url}");
        }
        assert_ne!(said("sh"), said("sh"));
    }
}
