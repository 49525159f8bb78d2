//! Prints what is generated from the model of the keys, as `httputil schema` does, without the command line's feature:
//! `cargo run -q --bin schema > config/httputil.schema.json`,
//! `cargo run -q --bin schema -- --reference > config/REFERENCE.md`.

use httputil::Config;

fn main() {
    let reference = std::env::args().any(|argument| argument == "--reference");
    print!(
        "{}",
        if reference {
            Config::reference()
        } else {
            Config::schema()
        }
    );
}
