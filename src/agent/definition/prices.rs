//! `_shared/prices.toml`, and the list that is compiled in: what a million tokens of a model cost, in US dollars.

use std::collections::BTreeMap;
use std::path::Path;

use super::llm::Price;
use super::placeholder::Surroundings;
use super::problem::Problem;
use super::reader::Reader;
use super::schema::model_price;
use super::shared::{SharedFile, Unreadable};
use super::tree::{Format, Node};

/// The list that comes along.
const COMPILED_IN: &str = include_str!("../model/prices.toml");

/// Reads the compiled-in list.
pub(crate) fn compiled_in() -> BTreeMap<String, Price> {
    let root = Node::parse(COMPILED_IN, Format::Toml, 1).expect("the list that is compiled in is TOML");
    let (path, from) = (Path::new("prices.toml"), Surroundings { variable: &|_| None, folder: "".into() });
    let mut reader = Reader::new(path, &from);
    let prices = read(&mut reader, &root);
    assert!(reader.problems.is_empty(), "the list that is compiled in is right: {:?}", reader.problems);
    prices
}

/// The folder's own prices, by `provider/model`, and what is wrong with others.
pub(crate) fn shared(
    agents: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> (BTreeMap<String, Price>, Vec<Problem>) {
    let (file, mut problems) = match SharedFile::read(agents, "prices", variable, |_| false) {
        Ok(Some(read)) => read,
        Ok(None) => return (BTreeMap::new(), Vec::new()),
        Err(Unreadable { problems }) => return (BTreeMap::new(), problems),
    };
    let from = file.surroundings(variable);
    let mut reader = Reader::new(&file.path, &from);
    let prices = read(&mut reader, &file.root);
    problems.extend(reader.problems);
    (prices, problems)
}

fn read(reader: &mut Reader<'_>, root: &Node) -> BTreeMap<String, Price> {
    let mut prices = BTreeMap::new();
    let Some(fields) = reader.any_fields(root, "") else { return prices };
    // The day on which somebody last looked; it is for people.
    for (key, _) in fields.members().iter().filter(|(key, _)| key.name != "as_of") {
        if !key.name.contains('/') {
            let message = format!("`{}` names no provider: write \"provider/model\"", key.name);
            reader.note(key.at, &key.name, message);
        } else if let Some(price) = model_price(reader, &fields, &key.name) {
            prices.insert(key.name.clone(), price);
        }
    }
    prices
}
