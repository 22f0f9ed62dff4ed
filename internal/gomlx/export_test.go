package gomlx

// Table lists the operations that the engine translates, and its reasons for those that it does not.
func Table() (implemented []string, without map[string]string) {
	without = map[string]string{}
	for t, e := range operations {
		if name := t.Elem().Name(); e.translate == nil {
			without[name] = e.reason
		} else {
			implemented = append(implemented, name)
		}
	}
	return implemented, without
}
