package table

import "math"

// maxItem, in bytes, is the limit of an item (service quotas).
const maxItem = 400 << 10

// readUnits is what reading that many bytes costs: 1 for every 4 KB, half of it when eventually consistent; a miss costs as much as a small item.
func readUnits(bytes int, consistent bool) Units {
	units := max(1, math.Ceil(float64(bytes)/4096))
	if !consistent {
		units /= 2
	}
	return Units{Read: units}
}

// writeUnits is what replacing an item of the one size by one of the other costs: 1 for every 1 KB of the larger; neither is needed for 1.
func writeUnits(before, after int) Units {
	return Units{Write: max(1, math.Ceil(float64(max(before, after))/1024))}
}

func (u Units) plus(v Units) Units { return Units{Read: u.Read + v.Read, Write: u.Write + v.Write} }

// capacity reads ReturnConsumedCapacity: nil when nothing is to be reported.
type capacity func(table string, u Units) answer

func (r *request) capacity() capacity {
	switch r.choice("ReturnConsumedCapacity", "NONE", "TOTAL", "INDEXES") {
	case "TOTAL":
		return func(table string, u Units) answer {
			return answer{{"TableName", table}, {"CapacityUnits", u.Read + u.Write}}
		}
	case "INDEXES":
		return func(table string, u Units) answer {
			units := u.Read + u.Write
			return answer{{"TableName", table}, {"CapacityUnits", units}, {"Table", answer{{"CapacityUnits", units}}}}
		}
	}
	return nil
}

// report adds what an operation on one table consumed to its answer.
func (c capacity) report(a answer, table string, u Units) answer {
	if c == nil {
		return a
	}
	return a.with("ConsumedCapacity", c(table, u))
}
