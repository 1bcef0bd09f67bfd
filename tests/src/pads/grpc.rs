//! A pad on native gRPC, with the generated client.

use std::{error::Error, net::SocketAddr};

use ringpad_proto::v1::{SubscribeRequest, pad_service_client::PadServiceClient};
use tonic::{Code, Request, Status, transport::Endpoint};

use super::{Item, Items, StreamEnd, Subscription};
use crate::token::with_token;

/// Carries events until the stream's end.
pub(super) async fn carry(replica: SocketAddr, asked: Subscription, items: &Items) -> StreamEnd {
    let endpoint = Endpoint::from_shared(format!("http://{replica}")).expect("an address is a URI");
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return StreamEnd::Lost(error.to_string()),
    };
    let message = request(&asked);
    let mut request = match &asked.token {
        Some(token) => with_token(token, message),
        None => Request::new(message),
    };
    if let Some(origin) = &asked.origin {
        request.metadata_mut().insert("origin", origin.parse().expect("an origin is a header's value"));
    }
    let mut stream = match PadServiceClient::new(channel).subscribe(request).await {
        Ok(response) => {
            let (metadata, stream, _) = response.into_parts();
            // If this fails, the pad was dropped, and the carrier ends with it.
            items.send(Item::Opened(metadata.into_headers())).await.ok();
            stream
        }
        Err(status) => return end(&status),
    };
    loop {
        match stream.message().await {
            Ok(Some(event)) => {
                if items.send(Item::Event(Box::new(event))).await.is_err() {
                    return StreamEnd::Lost("the pad was dropped".to_owned());
                }
            }
            Ok(None) => return StreamEnd::Unknown("OK".to_owned()),
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

fn end(status: &Status) -> StreamEnd {
    // What tonic makes of an HTTP answer that is not gRPC.
    let http = status.message().strip_prefix("grpc-status header missing, mapped from HTTP status code ");
    match (status.source(), http.and_then(|code| code.parse().ok())) {
        (_, Some(code)) => StreamEnd::Http(code),
        // The client's own status: there was no answer.
        (Some(source), None) => StreamEnd::Lost(format!("{source:?}")),
        (None, None) => of_code(status.code(), status.message()),
    }
}

/// The end that a gRPC status means.
pub(super) fn of_code(code: Code, message: &str) -> StreamEnd {
    match code {
        Code::Unauthenticated => StreamEnd::Unauthenticated,
        Code::PermissionDenied => StreamEnd::PermissionDenied,
        Code::NotFound => StreamEnd::NotFound,
        Code::Aborted => StreamEnd::Replaced,
        Code::ResourceExhausted => StreamEnd::Exhausted,
        Code::Unavailable => StreamEnd::Unavailable,
        Code::InvalidArgument => StreamEnd::Malformed,
        _ => StreamEnd::Unknown(format!("{code:?}: {message}")),
    }
}
