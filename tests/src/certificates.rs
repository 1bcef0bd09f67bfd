//! Certificates of private authorities, made with `openssl`.

use std::path::Path;

use tokio::process::Command;

use crate::wait::must;

const NEW: &str = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";

/// Makes an authority: `NAME.pem` and `NAME.key` in `directory`.
///
/// # Panics
/// `openssl` fails.
pub async fn authority(directory: &Path, name: &str) {
    openssl(directory, &format!("{NEW} -subj /CN={name} -keyout {name}.key -out {name}.pem")).await;
}

/// Makes a certificate that `authority` issues: `NAME.pem` and `NAME.key` in `directory`. `valid_for` is its subject alternative name,
/// e.g. `DNS:db.example` or `IP:127.0.0.1`.
///
/// # Panics
/// `openssl` fails.
pub async fn certificate(directory: &Path, authority: &str, name: &str, valid_for: &str) {
    let options = format!(
        "{NEW} -subj /CN={name} -addext subjectAltName={valid_for} -addext basicConstraints=critical,CA:FALSE \
         -CA {authority}.pem -CAkey {authority}.key -keyout {name}.key -out {name}.pem"
    );
    openssl(directory, &options).await;
}

async fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let output = must("openssl", output.await);
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
