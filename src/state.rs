pub mod document;
pub mod json;
pub mod limits;
pub mod merge;
pub mod patch;
pub mod pointer;
pub mod value;
