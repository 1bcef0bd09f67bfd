//! Opens streams, on each of the three transports.

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
    stream::{Connection, EventStream},
    stream_error::StreamError,
    websocket::WebSocket,
};
use crate::{endpoint::Endpoint, http_client::root, secret::GivenSecret};

/// How long a stream may take until its snapshot is there. The server has 3 s for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The address and the token with which the pad asks for streams.
#[derive(Clone)]
pub(super) struct Connector {
    transport: Transport,
    endpoint: Endpoint,
    token: String,
    authorization: MetadataValue<Ascii>,
}

/// A stream whose first message is there: a connection alone would prove nothing.
pub(super) struct OpenStream {
    pub(super) stream: EventStream,
    pub(super) first: SubscribeResponse,
}

impl Connector {
    /// # Errors
    /// The token has characters that are not valid in a header.
    pub(super) fn new(
        transport: Transport,
        endpoint: Endpoint,
        token: &GivenSecret,
    ) -> Result<Self, Failure> {
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {}", token.expose())
            .parse()
            .map_err(|_| token.wrong("visible ASCII characters are expected"))?;
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
    /// Why there is no stream.
    pub(super) async fn open(&self, request: SubscribeRequest) -> Result<OpenStream, StreamError> {
        let opening = async {
            let mut stream = EventStream::new(self.connect(request).await?);
            let first = stream.next().await?;
            Ok(OpenStream { stream, first })
        };
        let late = || Err(StreamError::Lost(format!("no first message within {} s", PATIENCE.as_secs())));
        timeout(PATIENCE, opening).await.unwrap_or_else(|_| late())
    }

    async fn connect(&self, request: SubscribeRequest) -> Result<Connection, StreamError> {
        let stream = match self.transport {
            Transport::Websocket => {
                let socket = WebSocket::open(&self.endpoint, &self.token, &request).await?;
                return Ok(Connection::WebSocket(Box::new(socket)));
            }
            Transport::GrpcWeb => {
                let client: Client<HttpConnector, GrpcWebCall<tonic::body::Body>> =
                    Client::builder(TokioExecutor::new()).build_http();
                self.subscribe(GrpcWebClientService::new(client), request).await?
            }
            Transport::Grpc => {
                let channel = Channel::builder(self.origin()?).tcp_nodelay(true);
                let channel = channel.connect().await.map_err(|error| StreamError::Lost(root(&error)))?;
                self.subscribe(channel, request).await?
            }
        };
        Ok(Connection::Grpc(Box::new(stream)))
    }

    async fn subscribe<S>(
        &self,
        service: S,
        request: SubscribeRequest,
    ) -> Result<Streaming<SubscribeResponse>, StreamError>
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

    fn origin(&self) -> Result<http::Uri, StreamError> {
        self.endpoint.join("/").map_err(|error| StreamError::Refused(error.to_string()))
    }
}
