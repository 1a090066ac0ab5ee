package mapping

// RevisionOf is the revision that a document has, valid or not; see
// [Mapping.Revision].
func RevisionOf(source []byte) string { return revisionOf(source) }
