//! Generates Rust from `ringpad/v1/*.proto` without a system `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use prost_build::{Config, Service, ServiceGenerator};

const FILES: [&str; 6] = [
    "ringpad/v1/call.proto",
    "ringpad/v1/customer.proto",
    "ringpad/v1/ingest.proto",
    "ringpad/v1/pad.proto",
    "ringpad/v1/pairing.proto",
    "ringpad/v1/store.proto",
];

/// Messages with a credential or a token, whose `Debug` is in `src/masked.rs`.
const SECRETS: [&str; 5] =
    ["BeginResponse", "PollRequest", "IssueTokenRequest", "IssueTokenResponse", "CheckCredentialRequest"];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let encoded = descriptors.encode_to_vec();
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("ringpad.v1.bin"), &encoded)?;

    Config::new()
        .extern_path(".google.protobuf", "::pbjson_types")
        // Writes UTC as `Z`, as proto3 JSON requires; pbjson-types writes `+00:00`.
        .extern_path(".google.protobuf.Timestamp", "crate::Timestamp")
        .compile_well_known_types()
        .bytes([".ringpad.v1.StoreEvent.subscribe_response"])
        .skip_debug(SECRETS.map(|message| format!(".ringpad.v1.{message}")))
        .service_generator(Box::new(Services::new()))
        .compile_fds(descriptors)?;
    // Fields that a newer peer adds are ignored, in JSON as in Protobuf.
    let mut json = pbjson_build::Builder::new();
    json.register_descriptors(&encoded)?.ignore_unknown_fields().build(&[".ringpad.v1"])?;
    Ok(())
}

/// Clients for every service, and servers for all but `PadService`, see [`serve_pads`].
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
            "PadService" => {
                serve_pads(&service);
                self.client.generate(service, buf);
            }
            _ => self.client_and_server.generate(service, buf),
        }
    }

    fn finalize(&mut self, buf: &mut String) {
        self.client_and_server.finalize(buf);
        self.client.finalize(buf);
    }
}

/// `Subscribe` passes on events that ingest-svc has encoded once, so the server's response type is bytes, which tonic
/// generates only through its manual builder. The other methods are as the descriptor has them.
fn serve_pads(pads: &Service) {
    let methods = pads.methods.iter().map(|method| {
        let served = tonic_build::manual::Method::builder()
            .name(&method.name)
            .route_name(&method.proto_name)
            .input_type(format!("crate::v1::{}", method.input_type));
        match (method.proto_name.as_str(), method.client_streaming, method.server_streaming) {
            ("Subscribe", false, true) => served
                .output_type("bytes::Bytes")
                .codec_path("crate::SubscribeCodec")
                .server_streaming()
                .build(),
            (_, false, false) => served
                .output_type(format!("crate::v1::{}", method.output_type))
                .codec_path("tonic_prost::ProstCodec")
                .build(),
            (name, ..) => panic!("PadService.{name}: only Subscribe may be a stream, from the server"),
        }
    });
    let service = tonic_build::manual::Service::builder()
        .name(&pads.name)
        .package(&pads.package)
        .comment("A store's pads; `subscribe` yields encoded `SubscribeResponse`s.");
    let service = methods.fold(service, |service, method| service.method(method)).build();
    tonic_build::manual::Builder::new().build_client(false).build_transport(false).compile(&[service]);
}
