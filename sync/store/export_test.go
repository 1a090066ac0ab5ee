package store

// Exec changes the database behind the program's back.
func (db *DB) Exec(statement string, args ...any) (rows int64, err error) {
	r := db.gorm.Exec(statement, args...)
	return r.RowsAffected, r.Error
}
