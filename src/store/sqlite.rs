//! stub
use std::path::Path;
#[derive(Debug, Default)]
pub struct Options {}
pub struct Sqlite;
impl Sqlite {
    pub fn open(path: &Path, _options: Options) -> Result<super::Memory, super::OpenError> {
        Err(super::OpenError::Failed {
            path: path.to_owned(),
            reason: "sqlite is being built".to_owned(),
        })
    }
}
