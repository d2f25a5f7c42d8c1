package template

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

const (
	sourceEvents    = "aws.events"
	sourceScheduler = "aws.scheduler"
)

func (r *resolver) schedules(functions []Function) []Schedule {
	var all []Schedule
	for _, f := range functions {
		all = append(all, r.functionSchedules(f)...)
	}
	for _, id := range r.live("AWS::Events::Rule") {
		n := r.resource(id).get("Properties")
		if n.get("ScheduleExpression").value() == nil || n.get("State").str() == "DISABLED" {
			continue
		}
		for _, target := range n.get("Targets").list() {
			all = append(all, Schedule{
				Name: id, ARN: r.arn("events", "rule/"+id), Source: sourceEvents,
				Function: target.get("Arn").functionAt(functions),
				Rate:     n.get("ScheduleExpression").rate(),
				Input:    target.get("Input").str(),
			})
		}
	}
	for _, id := range r.live("AWS::Scheduler::Schedule") {
		n := r.resource(id).get("Properties")
		if n.get("State").str() == "DISABLED" {
			continue
		}
		all = append(all, Schedule{
			Name: id, ARN: r.arn("scheduler", "schedule/default/"+id), Source: sourceScheduler,
			Function: n.get("Target").get("Arn").functionAt(functions),
			Rate:     n.get("ScheduleExpression").rate(),
			Input:    n.get("Target").get("Input").str(),
		})
	}
	return all
}

// functionSchedules reads the Events of a function. Another kind of event would make the function run on AWS and not here, so it
// is refused.
func (r *resolver) functionSchedules(f Function) []Schedule {
	var all []Schedule
	events := r.property(f.LogicalID, "Events")
	for _, name := range events.keys() {
		event := events.get(name)
		n := event.get("Properties")
		s := Schedule{Name: f.LogicalID + name, Function: f.Folder, Input: n.get("Input").str()}
		enabled := n.get("State").str() != "DISABLED"
		switch kind := event.get("Type").str(); kind {
		case "Schedule":
			s.ARN, s.Source = r.arn("events", "rule/"+s.Name), sourceEvents
			s.Rate = n.get("Schedule").rate()
			enabled = enabled && n.get("Enabled").boolean(true)
		case "ScheduleV2":
			s.ARN, s.Source = r.arn("scheduler", "schedule/default/"+s.Name), sourceScheduler
			s.Rate = n.get("ScheduleExpression").rate()
		default:
			event.get("Type").fail("%s: the local stack knows Schedule and ScheduleV2", quote(kind))
		}
		if enabled {
			all = append(all, s)
		}
	}
	return all
}

var rateExpression = regexp.MustCompile(`^rate\((\d+) (minute|hour|day)(s?)\)$`)

func (n node) rate() time.Duration {
	d, err := parseRate(n.required())
	if err != nil {
		n.fail("%v", err)
	}
	return d
}

// parseRate reads rate(value unit), where the unit is singular for 1 and plural above, as EventBridge has it.
func parseRate(s string) (time.Duration, error) {
	m := rateExpression.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q: the local stack runs rate(1 minute), rate(5 minutes), rate(1 hour) and the like", s)
	}
	count, err := strconv.Atoi(m[1])
	if err != nil || count == 0 || (count == 1) != (m[3] == "") {
		return 0, errors.New(quote(s) + ": the unit is singular for 1 and plural above")
	}
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[m[2]]
	if count > int(math.MaxInt64/unit) {
		return 0, errors.New(quote(s) + ": the local stack takes up to 106751 days")
	}
	return time.Duration(count) * unit, nil
}
