//! The bearer token of the internal gRPC. It guards every service but health, which answers anyone.

use ringpad_runtime::bearer;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tonic::{Request, Status, service::Interceptor};

/// Admits requests with the token, or all of them if no token is set (loopback only).
#[derive(Debug, Clone)]
pub(super) struct TokenCheck(pub(super) Option<SecretString>);

impl Interceptor for TokenCheck {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(token) = &self.0 else { return Ok(request) };
        let given = request.metadata().get("authorization").map_or(&[][..], |value| value.as_encoded_bytes());
        let given = bearer(given).unwrap_or_default();
        if bool::from(given.ct_eq(token.expose_secret().as_bytes())) {
            Ok(request)
        } else {
            Err(Status::unauthenticated("INTERNAL_TOKEN is expected as `authorization: Bearer …`"))
        }
    }
}
