//! A pad on native gRPC, with the generated client.

use std::{error::Error, net::SocketAddr};

use ringpad_proto::v1::{SubscribeRequest, pad_service_client::PadServiceClient};
use tonic::{Code, Request, Status, transport::Endpoint};

use super::{End, Seen, Seer, Subscription};

/// Carries events until the stream's end.
pub(super) async fn carry(replica: SocketAddr, asked: Subscription, seer: &Seer) -> End {
    let endpoint = Endpoint::from_shared(format!("http://{replica}")).expect("an address is a URI");
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return End::Cut(error.to_string()),
    };
    let mut request = Request::new(request(&asked));
    if let Some(token) = &asked.token {
        let bearer = format!("Bearer {token}").parse().expect("a token is a header's value");
        request.metadata_mut().insert("authorization", bearer);
    }
    if let Some(origin) = &asked.origin {
        request.metadata_mut().insert("origin", origin.parse().expect("an origin is a header's value"));
    }
    let mut stream = match PadServiceClient::new(channel).subscribe(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return end(&status),
    };
    loop {
        match stream.message().await {
            Ok(Some(event)) => {
                if seer.send(Seen::Event(Box::new(event))).await.is_err() {
                    return End::Cut("nobody looks any more".to_owned());
                }
            }
            Ok(None) => return End::Unknown("OK".to_owned()),
            Err(status) => return end(&status),
        }
    }
}

/// The request's message.
pub(super) fn request(asked: &Subscription) -> SubscribeRequest {
    SubscribeRequest {
        after_position: asked.after.as_ref().map(|(position, _)| *position),
        epoch: asked.after.as_ref().map(|(_, epoch)| epoch.clone()).unwrap_or_default(),
        session: asked.session.clone(),
    }
}

fn end(status: &Status) -> End {
    match status.source() {
        // The client's own, for want of an answer.
        Some(source) => End::Cut(format!("{source:?}")),
        None => of_code(status.code(), status.message()),
    }
}

/// The end that a gRPC status means.
pub(super) fn of_code(code: Code, message: &str) -> End {
    match code {
        Code::Unauthenticated => End::Unauthenticated,
        Code::PermissionDenied => End::PermissionDenied,
        Code::NotFound => End::NotFound,
        Code::Aborted => End::Replaced,
        Code::ResourceExhausted => End::Exhausted,
        Code::Unavailable => End::Unavailable,
        _ => End::Unknown(format!("{code:?}: {message}")),
    }
}
