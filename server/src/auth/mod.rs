//! Who a connection is: tokens that the server signs, and takes back.
//!
//! Every connection has a token. Guests get theirs from the server itself; it is signed with the key of the data
//! folder, or with that which the nodes of a cluster share, so it holds across restarts, and for as long as the file
//! does.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use enfilade_core::{Code, Millis, UserId, limits, text};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};

use self::key::Key;
use crate::folder::DataFolder;
use crate::store::StoreError;

mod key;

/// Who issues the tokens, and for whom: this server in both cases.
const ISSUER: &str = "enfilade";
const AUDIENCE: &str = "enfilade";
/// What the id of a guest begins with.
const GUEST: &str = "guest-";
/// Random characters of a guest's id: 80 bits, so that none is met twice.
const GUEST_CHARS: usize = 16;
/// Digits and lower-case letters without those that are mistaken for others (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What a valid token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who it is.
    pub user: UserId,
    /// The name that others see.
    pub name: String,
    /// Whether the server made this user up, because somebody without an account asked.
    pub guest: bool,
    /// When it was made, in whole seconds.
    pub issued: Millis,
    /// From when on it is void, in whole seconds.
    pub expires: Millis,
}

/// A token's payload as it travels: registered names of RFC 7519, times in seconds.
#[derive(Serialize, Deserialize)]
struct Payload {
    sub: String,
    name: String,
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
    #[serde(default)]
    guest: bool,
}

/// Signs tokens and verifies them. Cheap to use from everywhere at once; make one and share it.
pub struct Tokens {
    key: Key,
    guest_lifetime: Duration,
    validation: Validation,
}

impl Tokens {
    /// Opens the data folder's signing key, and makes one at the first start.
    ///
    /// [`StoreError::Damaged`] when the file there is no such key; it is left as it is.
    pub fn open(folder: &DataFolder, guest_lifetime: Duration) -> Result<Tokens, StoreError> {
        Key::open(folder).map(|key| Tokens::with(key, guest_lifetime))
    }

    /// Opens the key of a data folder that another process may be using; `None` where there is no key yet.
    pub fn open_existing(folder: &Path, guest_lifetime: Duration) -> Result<Option<Tokens>, StoreError> {
        Ok(Key::read(folder)?.map(|key| Tokens::with(key, guest_lifetime)))
    }

    /// Opens the key in a file, which all nodes of a cluster share: what one of them signs, all take.
    ///
    /// [`StoreError::Inaccessible`] when there is no such file, otherwise as [`Tokens::open`].
    pub fn open_file(file: &Path, guest_lifetime: Duration) -> Result<Tokens, StoreError> {
        let missing = || {
            let file = file.display();
            let advice = format!("make one with `enfilade key new > {file}` and give it to every node");
            StoreError::Inaccessible(format!("there is no signing key at {file} (signing_key); {advice}"))
        };
        let key = Key::read_file(file)?.ok_or_else(missing)?;
        Ok(Tokens::with(key, guest_lifetime))
    }

    /// A new signing key, as a key file holds it.
    pub fn new_key() -> Result<String, StoreError> {
        key::new_pem()
    }

    fn with(key: Key, guest_lifetime: Duration) -> Tokens {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "sub", "iss", "aud"]);
        // The time is an argument of `verify`.
        validation.validate_exp = false;
        Tokens { key, guest_lifetime, validation }
    }

    /// A token for somebody new, under a random id that begins with `guest-`. [`Code::InvalidName`] when that isn't
    /// a name.
    pub fn mint_guest(&self, name: &str, now: Millis) -> Result<(String, Claims), Code> {
        self.sign(guest_id()?, name, true, self.guest_lifetime, now)
    }

    /// A token for a user whom somebody else has authenticated: an operator at the command line, an application's
    /// server.
    pub fn mint(
        &self,
        user: UserId,
        name: &str,
        lifetime: Duration,
        now: Millis,
    ) -> Result<(String, Claims), Code> {
        self.sign(user, name, false, lifetime, now)
    }

    fn sign(
        &self,
        user: UserId,
        name: &str,
        guest: bool,
        lifetime: Duration,
        now: Millis,
    ) -> Result<(String, Claims), Code> {
        let name = text::name(name)?.to_owned();
        let iat = now.0 / 1_000;
        let exp = iat.saturating_add(lifetime.as_secs()).min(limits::INTEGER_BOUND / 1_000 - 1);
        let payload = Payload {
            sub: user.as_str().to_owned(),
            name: name.clone(),
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            iat,
            exp,
            guest,
        };
        let header = Header { kid: Some(self.key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &payload, &self.key.signing).map_err(|error| {
            tracing::error!(%error, "a token can't be signed");
            Code::Internal
        })?;
        let (issued, expires) = (Millis(iat * 1_000), Millis(exp * 1_000));
        Ok((token, Claims { user, name, guest, issued, expires }))
    }

    /// Takes a token back: [`Code::TokenExpired`] when it was valid once, [`Code::TokenInvalid`] when it is no token
    /// of this server (forged, signed by another key or not at all, for another audience, or not a token).
    ///
    /// Only EdDSA is accepted, whatever the token's header asks for.
    pub fn verify(&self, token: &str, now: Millis) -> Result<Claims, Code> {
        let claims = self.decode(token).map_err(|reason| {
            tracing::debug!(reason, "a token was refused");
            Code::TokenInvalid
        })?;
        if claims.expires <= now { Err(Code::TokenExpired) } else { Ok(claims) }
    }

    fn decode(&self, token: &str) -> Result<Claims, &'static str> {
        if token.len() > limits::TOKEN_BYTES {
            return Err("too long");
        }
        let decoded = jsonwebtoken::decode::<Payload>(token, &self.key.verifying, &self.validation);
        let payload = decoded.map_err(|error| reason(error.kind()))?.claims;
        let millis = |seconds: u64| match seconds.checked_mul(1_000) {
            Some(millis) if millis < limits::INTEGER_BOUND => Ok(Millis(millis)),
            _ => Err("a time that does not exist"),
        };
        Ok(Claims {
            user: UserId::new(&payload.sub).map_err(|_| "a user id outside the grammar")?,
            name: text::name(&payload.name).map_err(|_| "a name that is none")?.to_owned(),
            guest: payload.guest,
            issued: millis(payload.iat)?,
            expires: millis(payload.exp)?,
        })
    }
}

/// The time of this machine's clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn guest_id() -> Result<UserId, Code> {
    let mut random = [0; GUEST_CHARS];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "the machine gives no random numbers");
        Code::Internal
    })?;
    let characters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let id: String = GUEST.chars().chain(characters).collect();
    UserId::new(&id)
}

/// For the server's log; those who send bad tokens aren't told.
fn reason(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::InvalidSignature => "signed by another key, or changed",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "signed by another method",
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => "of or for another server",
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => "a claim is missing",
        _ => "not a token",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn tokens() -> (Tokens, tempfile::TempDir) {
        let place = tempfile::tempdir().unwrap();
        (tokens_in(&place), place)
    }

    fn tokens_in(place: &tempfile::TempDir) -> Tokens {
        Tokens::open(&DataFolder::open(place.path()).unwrap(), 30 * DAY).unwrap()
    }

    /// A token with any header and payload, signed with the key.
    fn token(tokens: &Tokens, change: impl FnOnce(&mut serde_json::Value)) -> String {
        let seconds = NOW.0 / 1_000;
        let mut payload = serde_json::json!({
            "sub": "ada", "name": "Ada", "iss": ISSUER, "aud": AUDIENCE, "iat": seconds, "exp": seconds + 60,
        });
        change(&mut payload);
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &payload, &tokens.key.signing).unwrap()
    }

    #[test]
    fn a_guest_gets_a_token_that_holds_for_thirty_days() {
        let (tokens, _place) = tokens();
        let (token, claims) = tokens.mint_guest("Zoë", NOW).unwrap();
        assert!(claims.user.as_str().starts_with("guest-") && claims.guest);
        assert_eq!((claims.name.as_str(), claims.expires), ("Zoë", NOW + 30 * 86_400_000));
        assert_eq!(tokens.verify(&token, NOW), Ok(claims.clone()));
        assert_eq!(tokens.verify(&token, Millis(claims.expires.0 - 1)), Ok(claims.clone()));
        assert_eq!(tokens.verify(&token, claims.expires), Err(Code::TokenExpired));
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::EdDSA, Some(tokens.key.id.as_str())));
    }

    #[test]
    fn no_two_guests_share_an_id() {
        let (tokens, _place) = tokens();
        let ids: std::collections::BTreeSet<_> =
            (0..50).map(|_| tokens.mint_guest("Twin", NOW).unwrap().1.user).collect();
        assert_eq!(ids.len(), 50);
    }

    #[test]
    fn a_named_user_gets_a_token_that_is_no_guests() {
        let (tokens, _place) = tokens();
        let (token, claims) = tokens.mint(UserId::new("ada").unwrap(), "Ada", DAY, NOW).unwrap();
        assert_eq!(tokens.verify(&token, NOW), Ok(claims.clone()));
        assert_eq!((claims.guest, claims.expires), (false, NOW + 86_400_000));
    }

    #[test]
    fn names_that_are_none_get_no_token() {
        let (tokens, _place) = tokens();
        for bad in ["", "  ", "a\u{0}b", &"x".repeat(65)] {
            assert_eq!(tokens.mint_guest(bad, NOW).unwrap_err(), Code::InvalidName);
        }
    }

    #[test]
    fn tokens_hold_across_restarts() {
        let (tokens, place) = tokens();
        let (token, claims) = tokens.mint_guest("Ada", NOW).unwrap();
        drop(tokens);
        assert_eq!(tokens_in(&place).verify(&token, NOW), Ok(claims));
    }

    #[test]
    fn what_another_server_signed_is_invalid() {
        let ((ours, _place), (theirs, _other)) = (tokens(), tokens());
        let (token, _) = theirs.mint_guest("Ada", NOW).unwrap();
        assert_eq!(ours.verify(&token, NOW), Err(Code::TokenInvalid));
        assert_eq!(ours.verify(&token, NOW + 365 * 86_400_000), Err(Code::TokenInvalid), "not even expired");
    }

    #[test]
    fn a_token_with_one_character_changed_is_invalid() {
        let (tokens, _place) = tokens();
        let token = token(&tokens, |_| {});
        assert!(tokens.verify(&token, NOW).is_ok());
        // The last character holds bits that carry nothing.
        for place in (0..token.len() - 1).step_by(7) {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(tokens.verify(&changed, NOW), Err(Code::TokenInvalid), "{place}");
        }
    }

    #[test]
    fn other_methods_of_signing_are_invalid_even_when_they_verify() {
        let (tokens, _place) = tokens();
        let good = token(&tokens, |_| {});
        let parts: Vec<&str> = good.split('.').collect();
        // {"alg":"none","typ":"JWT"}
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        for forged in [format!("{none}.{}.", parts[1]), format!("{none}.{}.{}", parts[1], parts[2])] {
            assert_eq!(tokens.verify(&forged, NOW), Err(Code::TokenInvalid));
        }
        // The public key as the secret of a method with one key.
        let payload = serde_json::json!({
            "sub": "ada", "name": "Ada", "iss": ISSUER, "aud": AUDIENCE, "iat": 1, "exp": NOW.0,
        });
        let public = tokens.key.verifying.try_get_as_bytes().unwrap();
        let secret = jsonwebtoken::EncodingKey::from_secret(public);
        let forged = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &payload, &secret).unwrap();
        assert_eq!(tokens.verify(&forged, NOW), Err(Code::TokenInvalid));
    }

    #[test]
    fn claims_outside_the_contract_are_invalid_though_signed() {
        let (tokens, _place) = tokens();
        for (claim, value) in [
            ("aud", "another".into()),
            ("iss", "another".into()),
            ("sub", "not an id".into()),
            ("sub", "".into()),
            ("name", "\u{202e}".into()),
            ("exp", "soon".into()),
            ("exp", serde_json::json!(-1)),
            ("exp", u64::MAX.into()),
            ("exp", serde_json::Value::Null),
        ] {
            let token = token(&tokens, |payload| payload[claim] = value);
            assert_eq!(tokens.verify(&token, NOW), Err(Code::TokenInvalid), "{claim}");
        }
    }

    #[test]
    fn garbage_is_invalid() {
        let (tokens, _place) = tokens();
        let long = token(&tokens, |payload| payload["more"] = "x".repeat(limits::TOKEN_BYTES).into());
        for garbage in ["", ".", "..", "a.b.c", "ä.ö.ü", "\0", &"a".repeat(1_000_000), &long] {
            assert_eq!(tokens.verify(garbage, NOW), Err(Code::TokenInvalid));
        }
    }

    #[test]
    fn the_key_is_for_the_servers_user_alone() {
        let (_tokens, place) = tokens();
        let file = place.path().join("signing-key.pem");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&file).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    }

    #[test]
    fn nodes_that_share_a_key_file_take_each_others_tokens() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("shared.pem");
        let Err(StoreError::Inaccessible(message)) = Tokens::open_file(&file, DAY) else { panic!("opened") };
        assert!(message.contains("enfilade key new"), "{message}");
        fs::write(&file, Tokens::new_key().unwrap()).unwrap();
        let [one, other] = [(); 2].map(|()| Tokens::open_file(&file, DAY).unwrap());
        let (token, claims) = one.mint_guest("Ada", NOW).unwrap();
        assert_eq!(other.verify(&token, NOW), Ok(claims));
    }

    #[test]
    fn a_damaged_key_is_named_and_left_as_it_is() {
        let (tokens, place) = tokens();
        drop(tokens);
        let file = place.path().join("signing-key.pem");
        for damage in [b"".to_vec(), b"garbage".to_vec(), vec![0xff; 200], vec![b'x'; 10_000]] {
            fs::write(&file, &damage).unwrap();
            let opened = Tokens::open(&DataFolder::open(place.path()).unwrap(), DAY);
            let Err(StoreError::Damaged(message)) = opened else { panic!("opened") };
            assert!(message.contains("signing-key.pem") && message.contains("move it away"), "{message}");
            assert_eq!(fs::read(&file).unwrap(), damage);
        }
    }
}
