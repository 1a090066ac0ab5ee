package mapping

import "slices"

// RuleKeys are what rules may say under when and do.
func RuleKeys() []string { return slices.Concat(whenKeys, actionKeys) }
