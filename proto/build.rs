//! Generates Rust from `ringpad/v1/*.proto` without a system `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use prost_build::{Config, Service, ServiceGenerator};

const FILES: [&str; 4] =
    ["ringpad/v1/call.proto", "ringpad/v1/ingest.proto", "ringpad/v1/pad.proto", "ringpad/v1/store.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let encoded = descriptors.encode_to_vec();
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("ringpad.v1.bin"), &encoded)?;

    Config::new()
        .extern_path(".google.protobuf", "::pbjson_types")
        // Writes UTC as `Z`, as proto3 JSON wants it; pbjson-types writes `+00:00`.
        .extern_path(".google.protobuf.Timestamp", "crate::Timestamp")
        .compile_well_known_types()
        .bytes([".ringpad.v1.StoreEvent.subscribe_response"])
        .service_generator(Box::new(Services::new()))
        .compile_fds(descriptors)?;
    // What a newer peer adds is left alone, in JSON as in Protobuf.
    let mut json = pbjson_build::Builder::new();
    json.register_descriptors(&encoded)?.ignore_unknown_fields().build(&[".ringpad.v1"])?;
    serve_pads_by_hand();
    Ok(())
}

/// Clients for every service, and servers for all but `PadService`, see [`serve_pads_by_hand`].
struct Services {
    client_and_server: Box<dyn ServiceGenerator>,
    client: Box<dyn ServiceGenerator>,
}

impl Services {
    fn new() -> Self {
        let builder = || tonic_prost_build::configure().build_transport(false).compile_well_known_types(true);
        Self {
            client_and_server: builder().service_generator(),
            client: builder().build_server(false).service_generator(),
        }
    }
}

impl ServiceGenerator for Services {
    fn generate(&mut self, service: Service, buf: &mut String) {
        match service.proto_name.as_str() {
            "PadService" => self.client.generate(service, buf),
            _ => self.client_and_server.generate(service, buf),
        }
    }

    fn finalize(&mut self, buf: &mut String) {
        self.client_and_server.finalize(buf);
        self.client.finalize(buf);
    }
}

/// `Subscribe` passes on events that ingest-svc has encoded once, so the server's response type is bytes; tonic can
/// say that only through its manual builder. A test holds the result against the descriptor.
fn serve_pads_by_hand() {
    let unary = |name: &str, route: &str, messages: &str| {
        tonic_build::manual::Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("crate::v1::{messages}Request"))
            .output_type(format!("crate::v1::{messages}Response"))
            .codec_path("tonic_prost::ProstCodec")
            .build()
    };
    let subscribe = tonic_build::manual::Method::builder()
        .name("subscribe")
        .route_name("Subscribe")
        .input_type("crate::v1::SubscribeRequest")
        .output_type("bytes::Bytes")
        .codec_path("crate::SubscribeCodec")
        .server_streaming()
        .build();
    let service = tonic_build::manual::Service::builder()
        .name("PadService")
        .package("ringpad.v1")
        .comment("A store's pads; `subscribe` yields encoded `SubscribeResponse`s.")
        .method(subscribe)
        .method(unary("list_calls", "ListCalls", "PadServiceListCalls"))
        .method(unary("claim_call", "ClaimCall", "ClaimCall"))
        .method(unary("release_call", "ReleaseCall", "ReleaseCall"))
        .method(unary("close_call", "CloseCall", "CloseCall"))
        .method(unary("reopen_call", "ReopenCall", "ReopenCall"))
        .method(unary("save_note", "SaveNote", "SaveNote"))
        .build();
    tonic_build::manual::Builder::new().build_client(false).build_transport(false).compile(&[service]);
}
