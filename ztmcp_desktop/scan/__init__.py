"""Pure functions over text and JSON: sensitive data, hidden text, injection signs, harm, SQL, paths."""
