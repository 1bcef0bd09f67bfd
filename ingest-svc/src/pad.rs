//! Tablets that become pads: the code that a tablet shows, the credential that it keeps, and what is known of a pad. Pure: no
//! database; the time is an argument.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// For how many seconds a code can be approved.
pub(crate) const CODE_SECONDS: i64 = 10 * 60;
/// How often a tablet asks whether its code was approved, in seconds.
pub(crate) const POLL_SECONDS: i64 = 2;
/// For how many seconds a revoked pad is told to push-svc: twice as long as a token is valid.
pub(crate) const REVOCATION_SECONDS: i64 = 2 * 60 * 60;
/// When a pad last got a token is written at most so often, in seconds.
const TOKEN_NOTE_SECONDS: i64 = 60 * 60;

/// Bytes of a credential.
const CREDENTIAL_BYTES: usize = 32;
/// Codes to choose from. With the most codes that there may be at a time, one in a thousand is taken.
const CODES: u32 = 1_000_000;
/// Digits of a code.
const CODE_DIGITS: usize = 6;
/// Codes that a tablet may be given, so that one of them is free.
const CANDIDATES: usize = 8;

/// The system has no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(crate) struct NoRandomness;

/// A tablet's secret: 256 random bits, as URL-safe base64.
pub(crate) struct Credential(String);

impl Credential {
    /// A new one.
    pub(crate) fn random() -> Result<Self, NoRandomness> {
        let bytes: [u8; CREDENTIAL_BYTES] = random()?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text that the tablet keeps.
    pub(crate) fn expose(self) -> String {
        self.0
    }

    /// What the log has of it.
    pub(crate) fn hash(&self) -> CredentialHash {
        CredentialHash::of(&self.0)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(****)")
    }
}

/// SHA-256 of a credential. That has 256 random bits, so nobody finds it by trying, and no salt is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CredentialHash(pub(crate) [u8; 32]);

impl CredentialHash {
    /// Of what a tablet has sent; a text that is no credential is nobody's.
    pub(crate) fn of(credential: &str) -> Self {
        Self(Sha256::digest(credential).into())
    }
}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash(****)")
    }
}

/// Six digits.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode(String);

impl PairingCode {
    /// New codes, of which the first is given that no other tablet shows.
    pub(crate) fn candidates() -> Result<Vec<Self>, NoRandomness> {
        (0..CANDIDATES).map(|_| Self::random()).collect()
    }

    fn random() -> Result<Self, NoRandomness> {
        // What the division leaves makes no code likelier than another by more than a millionth.
        let number = u64::from_le_bytes(random()?) % u64::from(CODES);
        Ok(Self(format!("{number:0CODE_DIGITS$}")))
    }

    /// Reads what somebody has typed: spaces and hyphens are ignored, and digits of full width are digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: String = text
            .nfkc()
            .filter(|character| !character.is_whitespace() && *character != '-')
            .take(CODE_DIGITS + 1)
            .collect();
        let is_code = digits.len() == CODE_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_code.then_some(Self(digits))
    }

    /// The digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(******)")
    }
}

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A tablet that was paired. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairedPad {
    /// The `sub` of its tokens.
    pub id: Uuid,
    /// Its store's id.
    pub store_id: String,
    /// Its store's name.
    pub store_name: String,
    /// What people call it.
    pub name: String,
    /// When its code was approved.
    pub paired: i64,
    /// When it last got a token, to within an hour; `None`: never.
    pub last_token: Option<i64>,
    /// When it was revoked; `None`: it is not.
    pub revoked: Option<i64>,
}

impl PairedPad {
    /// Whether it is to be written that it gets a token now.
    pub(crate) fn needs_token_note(&self, now: i64) -> bool {
        // Also if the clock was set back by as much.
        self.last_token.is_none_or(|last| now.abs_diff(last) >= TOKEN_NOTE_SECONDS.unsigned_abs())
    }
}

/// Whose credential it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A tablet whose code can be approved.
    Waiting,
    /// A pad that is not revoked, and whose store exists.
    Paired(PairedPad),
}

/// What is changed in the log, at a Unix second.
#[derive(Debug)]
pub struct PadChange {
    /// When.
    pub at: i64,
    /// What.
    pub kind: PadChangeKind,
}

/// What is changed.
#[derive(Debug)]
pub enum PadChangeKind {
    /// A tablet gets a credential and the first of these codes that is free.
    Begin {
        /// Its new id.
        id: Uuid,
        /// Its credential's.
        hash: CredentialHash,
        /// Codes to choose from.
        codes: Vec<PairingCode>,
    },
    /// The tablet that shows a code becomes a pad of a store.
    Approve {
        /// What it shows.
        code: PairingCode,
        /// The store.
        store_id: String,
        /// The pad's name.
        name: String,
    },
    /// A pad's credential is revoked.
    Revoke(Uuid),
    /// A pad gets a token.
    NoteToken(Uuid),
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PadOutcome {
    /// The tablet shows this code.
    Begun(PairingCode),
    /// Too many tablets have a code that nobody has approved. One of the codes expires after so many seconds.
    Full {
        /// 1 or more.
        retry_after: u64,
    },
    /// The tablet is this pad.
    Approved(Box<PairedPad>),
    /// No tablet shows this code.
    NoSuchCode,
    /// There is no such store.
    NoSuchStore,
    /// It was noted, or the pad is revoked: now, or it was before.
    Done,
    /// There is no such pad.
    NoSuchPad,
}

impl PadOutcome {
    /// There are as many codes as there may be; the first expires at the Unix second `expires`.
    pub(crate) fn full(expires: i64, now: i64) -> Self {
        let wait = expires.saturating_sub(now).clamp(1, CODE_SECONDS);
        Self::Full { retry_after: wait.unsigned_abs() }
    }
}

/// A place in the list of pads, which is in the order of store, name and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PadMark {
    pub(crate) store_id: String,
    pub(crate) name: String,
    pub(crate) id: Uuid,
}

impl PadMark {
    /// The place of a pad.
    pub(crate) fn of(pad: &PairedPad) -> Self {
        Self { store_id: pad.store_id.clone(), name: pad.name.clone(), id: pad.id }
    }

    /// Reads a page token.
    pub(crate) fn parse(token: &str) -> Option<Self> {
        let mut parts = token.splitn(3, ' ');
        let (store_id, id, name) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { store_id: store_id.to_owned(), name: name.to_owned(), id: Uuid::try_parse(id).ok()? })
    }

    /// As a page token. No store id has a space.
    pub(crate) fn token(&self) -> String {
        let Self { store_id, name, id } = self;
        format!("{store_id} {id} {name}")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for text in ["042917", " 042 917", "042-917\n", "０４２ ９１７", "0 4 2-9 1 7"] {
            assert_eq!(PairingCode::parse(text).unwrap().as_str(), "042917", "{text:?}");
        }
        for text in ["", "42917", "0429170", "04291a", "042+917", "٠٤٢٩١٧", "042917042917"] {
            assert_eq!(PairingCode::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_new_code_has_six_digits_and_a_new_credential_256_bits() {
        for code in PairingCode::candidates().unwrap() {
            assert_eq!(PairingCode::parse(code.as_str()), Some(code));
        }
        let [one, other] = [(); 2].map(|()| Credential::random().unwrap());
        assert_eq!(URL_SAFE_NO_PAD.decode(&one.0).unwrap().len(), CREDENTIAL_BYTES);
        assert!(one.0 != other.0 && one.hash() != other.hash());
        assert_eq!(one.hash(), CredentialHash::of(&one.0));
    }

    #[test]
    fn secrets_do_not_show() {
        let (credential, code) = (Credential::random().unwrap(), PairingCode::random().unwrap());
        let shown = format!("{credential:?} {:?} {code:?}", credential.hash());
        assert_eq!(shown, "Credential(****) CredentialHash(****) PairingCode(******)");
    }

    #[test]
    fn a_page_token_is_read_back() {
        let mark =
            PadMark { store_id: "gangnam".to_owned(), name: "계산대 1 ".to_owned(), id: Uuid::new_v4() };
        assert_eq!(PadMark::parse(&mark.token()), Some(mark));
        assert!(["", "a", "a b c", " "].iter().all(|token| PadMark::parse(token).is_none()));
    }

    #[test]
    fn a_token_is_noted_once_an_hour() {
        let pad = |last_token| PairedPad {
            id: Uuid::nil(),
            store_id: String::new(),
            store_name: String::new(),
            name: String::new(),
            paired: 0,
            last_token,
            revoked: None,
        };
        let needs = |last, now| pad(last).needs_token_note(now);
        assert!(needs(None, 0) && needs(Some(0), 3_600) && needs(Some(7_200), 3_600));
        assert!(!needs(Some(0), 3_599) && !needs(Some(3_600), 3_600));
    }
}
