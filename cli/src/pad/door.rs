//! Opens streams. Knows the three transports; past it there are only feeds.

use std::time::Duration;

use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use ringpad_proto::v1::{SubscribeRequest, SubscribeResponse, pad_service_client::PadServiceClient};
use ringpad_runtime::Failure;
use tokio::time::timeout;
use tonic::{
    Request, Streaming,
    client::GrpcService,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_web::{GrpcWebCall, GrpcWebClientService};

use super::{
    Transport,
    feed::{End, Feed, Source},
    websocket::WebSocket,
};
use crate::{endpoint::Endpoint, http_client::root, secret::Given};

/// Within this time a stream is open and its snapshot there, or it is given up. The server has 3 s for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where and as whom the pad asks for streams.
#[derive(Clone)]
pub(super) struct Door {
    transport: Transport,
    endpoint: Endpoint,
    token: String,
    authorization: MetadataValue<Ascii>,
}

/// A stream that has proved itself: its first message is there.
pub(super) struct Opened {
    pub(super) feed: Feed,
    pub(super) first: SubscribeResponse,
}

impl Door {
    /// # Errors
    /// The token holds characters that no token has.
    pub(super) fn new(transport: Transport, endpoint: Endpoint, token: &Given) -> Result<Self, Failure> {
        let mut authorization: MetadataValue<Ascii> =
            format!("Bearer {}", token.expose()).parse().map_err(|_| token.wrong("a token is expected"))?;
        authorization.set_sensitive(true);
        Ok(Self { transport, endpoint, token: token.expose().to_owned(), authorization })
    }

    /// Where the streams come from.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Opens a stream and waits for its first message.
    ///
    /// # Errors
    /// How it ended before it began.
    pub(super) async fn open(&self, request: SubscribeRequest) -> Result<Opened, End> {
        let opening = async {
            let mut feed = Feed::new(self.source(request).await?);
            let first = feed.next().await?;
            Ok(Opened { feed, first })
        };
        let late = || Err(End::Lost(format!("no first message within {} s", PATIENCE.as_secs())));
        timeout(PATIENCE, opening).await.unwrap_or_else(|_| late())
    }

    async fn source(&self, request: SubscribeRequest) -> Result<Source, End> {
        let stream = match self.transport {
            Transport::Websocket => {
                let socket = WebSocket::open(&self.endpoint, &self.token, &request).await?;
                return Ok(Source::WebSocket(Box::new(socket)));
            }
            Transport::GrpcWeb => {
                let client: Client<HttpConnector, GrpcWebCall<tonic::body::Body>> =
                    Client::builder(TokioExecutor::new()).build_http();
                self.subscribe(GrpcWebClientService::new(client), request).await?
            }
            Transport::Grpc => {
                let channel = Channel::builder(self.origin()?).tcp_nodelay(true);
                let channel = channel.connect().await.map_err(|error| End::Lost(root(&error)))?;
                self.subscribe(channel, request).await?
            }
        };
        Ok(Source::Grpc(Box::new(stream)))
    }

    async fn subscribe<S>(
        &self,
        service: S,
        request: SubscribeRequest,
    ) -> Result<Streaming<SubscribeResponse>, End>
    where
        S: GrpcService<tonic::body::Body>,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        <S::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let mut request = Request::new(request);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let mut client = PadServiceClient::with_origin(service, self.origin()?);
        Ok(client.subscribe(request).await?.into_inner())
    }

    fn origin(&self) -> Result<http::Uri, End> {
        self.endpoint.join("/").map_err(|error| End::Refused(error.to_string()))
    }
}
