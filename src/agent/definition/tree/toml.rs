//! TOML 1.0 into the tree.

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Key, MAX_DEPTH, Node, Position, Shape, Unreadable, too_deep};

pub(super) fn parse(text: &str) -> Result<Node, Unreadable> {
    let table = DeTable::parse(text).map_err(|error| Unreadable {
        at: error.span().map(|span| Position::of_offset(text, span.start)),
        message: error.message().lines().next().unwrap_or_default().to_owned(),
    })?;
    Ok(Node { at: Position { line: 1, column: 1 }, shape: members(text, table.into_inner(), MAX_DEPTH)? })
}

fn members(text: &str, table: DeTable<'_>, depth: usize) -> Result<Shape, Unreadable> {
    let mut map = Vec::with_capacity(table.len());
    for (key, value) in table {
        let at = Position::of_offset(text, key.span().start);
        map.push((Key { at, name: key.into_inner().into_owned() }, node(text, value, depth - 1)?));
    }
    Ok(Shape::Map(map))
}

fn node(text: &str, value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Unreadable> {
    let at = Position::of_offset(text, value.span().start);
    if depth == 0 {
        return Err(too_deep(Some(at)));
    }
    let refuse = |what: &str| Unreadable { at: Some(at), message: what.to_owned() };
    let shape = match value.into_inner() {
        DeValue::String(text) => Shape::Text(text.into_owned()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map(|number| Shape::Number(number.into()))
            .map_err(|_| refuse("an integer of more than 64 bits"))?,
        DeValue::Float(digits) => digits
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Shape::Number)
            .ok_or_else(|| refuse("a number that JSON cannot hold"))?,
        DeValue::Boolean(yes) => Shape::Bool(yes),
        DeValue::Datetime(_) => return Err(refuse("a date is not accepted here: write it as a text in quotes")),
        DeValue::Array(items) => {
            Shape::List(items.into_iter().map(|item| node(text, item, depth - 1)).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => members(text, table, depth)?,
    };
    Ok(Node { at, shape })
}
