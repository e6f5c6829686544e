//! Types for clients, written from a schema: TypeScript and pydantic, the same text for the same schema.

mod model;
mod pydantic;
mod typescript;

pub use pydantic::pydantic;
pub use typescript::typescript;

/// `work_item` and `work-item` as `WorkItem`.
fn type_name(text: &str) -> String {
    let mut name = String::new();
    let mut begins = true;
    for letter in text.chars() {
        if !letter.is_ascii_alphanumeric() {
            begins = true;
        } else if begins {
            name.extend(letter.to_uppercase());
            begins = false;
        } else {
            name.push(letter);
        }
    }
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) { format!("T{name}") } else { name }
}

#[cfg(test)]
mod tests;
