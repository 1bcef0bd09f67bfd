//! The pad page is embedded: build again when a file of it comes, changes or goes.

fn main() {
    println!("cargo:rerun-if-changed=../pad/dist");
}
