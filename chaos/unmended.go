package chaos

// What finds faults that are being mended is left out until they are.
const (
	emptyLabels = false // a label with an empty value splits a series
	crowds      = false // in crowded rooms series come without their past
)
