//! Directories for what a test writes, and what a page in one shows.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// A new directory, gone at the end.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// A new directory; `name` tells tests apart.
    ///
    /// # Panics
    /// There is no room.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hii-plot-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// The path of a file in it.
    ///
    /// # Panics
    /// The system's directory for such files has a name that is not UTF-8.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// What is in it, sorted.
    ///
    /// # Panics
    /// It is gone.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The data of a page that `--plot` wrote.
///
/// # Panics
/// It has none.
pub fn page_data(page: &str) -> Value {
    let (_, after) = page.split_once("id=\"data\">").expect("data");
    let (data, _) = after.split_once("</script>").expect("its end");
    serde_json::from_str(data).expect("JSON")
}
