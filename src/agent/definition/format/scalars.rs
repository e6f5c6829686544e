//! Words with a form of their own: durations, pointers, secrets, ids.

use schemars::JsonSchema;

/// Whole number and unit: `500ms`, `5s`, `10m`, `1h`.
#[derive(JsonSchema)]
pub(super) struct Duration(#[schemars(regex(pattern = r"^([0-9]+(ms|s|m|h)|.*\$\{.*)$"))] String);

/// A JSON Pointer (RFC 6901).
#[derive(JsonSchema)]
pub(super) struct Pointer(#[schemars(regex(pattern = r"^(/([^/~]|~[01])*)*$"))] String);

/// Never a literal: `${env:NAME}` or `${file:path}`.
#[derive(JsonSchema)]
pub(super) struct Secret(#[schemars(regex(pattern = r"^\s*\$\{(env|file):[^}]+\}\s*$"))] String);

/// The id of an agent.
#[derive(JsonSchema)]
pub(super) struct Id(#[schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]{0,63}$"))] String);

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum DurationOrZero {
    Zero(#[schemars(range(min = 0, max = 0))] u8),
    Duration(Duration),
}
