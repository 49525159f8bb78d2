//! `httputil schema`.

use httputil::Config;

use crate::program::Desk;

#[test]
fn it_prints_the_schema_or_the_reference_of_all_keys() {
    let desk = Desk::with("no = = TOML");
    assert_eq!(desk.run(&["schema"]).said(), Config::schema());
    assert_eq!(desk.run(&["schema", "--reference"]).said(), Config::reference());
}
