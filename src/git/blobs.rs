//! The bytes of many objects, from one `git cat-file --batch`.

use zeroize::Zeroizing;

use super::{Repository, trouble};
use crate::error::{Error, Kind, Result};

impl Repository {
    /// The bytes of these objects, in order, as they are stored: git's filters aren't run.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, or lacks one of them (history that was cut off).
    pub fn blobs(&self, objects: &[&str]) -> Result<Vec<Zeroizing<Vec<u8>>>> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let list: String = objects.iter().flat_map(|object| [object, "\n"]).collect();
        let output = self.run(&["cat-file", "--batch"], Some(list.as_bytes()))?;
        if !output.status.success() {
            return Err(self.with_depth(trouble(&output, &self.top)));
        }
        let all = Zeroizing::new(output.stdout);
        let mut rest = all.as_slice();
        let mut next = |object: &&str| match next_object(&mut rest) {
            Some(bytes) => Ok(Zeroizing::new(bytes.to_vec())),
            None => {
                let error = Error::new(Kind::Unreadable, format!("git has no object {object} here"));
                Err(self.with_depth(error).hint("a partial clone (--filter) lacks files of older commits: clone without it"))
            }
        };
        objects.iter().map(&mut next).collect()
    }
}

/// `OBJECT blob SIZE`, the bytes, a line feed. None if the object is missing.
fn next_object<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let line_end = memchr::memchr(b'\n', rest)?;
    let head = std::str::from_utf8(&rest[..line_end]).ok()?;
    let size: usize = head.split(' ').nth(2)?.parse().ok()?;
    let bytes = rest.get(line_end + 1..line_end + 1 + size)?;
    *rest = rest.get(line_end + 2 + size..)?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_follow_each_other_whatever_they_hold() {
        let mut rest = &b"aa blob 5\na\nb\nc\nbb blob 0\n\ncc missing\n"[..];
        assert_eq!(next_object(&mut rest), Some(&b"a\nb\nc"[..]));
        assert_eq!(next_object(&mut rest), Some(&b""[..]));
        assert_eq!(next_object(&mut rest), None);
    }
}
