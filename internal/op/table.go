package op

// Core is the set of operators that the runtime executes.
var Core = Set{}
