package main

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"example.org/realtime/infra/bench/price"
	"example.org/realtime/infra/bench/rig"
)

// sweepRPS is the default of SWEEP_RPS: how many calls to @connections a second sweep makes, and so how long it runs.
const sweepRPS = 1000.0

const (
	milli    = 1e-3
	kilo     = 1e3
	million  = 1e6
	megabyte = 1.0 / 1024 // in GB
)

// usage is what AWS bills for a flow. posting is how long, in seconds, a function of that memory in GB is busy with posts and lookups.
func (m measured) usage(r rig.Reading, posting, memory float64) price.Usage {
	u := price.Usage{
		Messages: r.Inbound + r.Outbound, Write: r.Write, Read: r.Read, LogBytes: float64(r.LogBytes), BytesOut: float64(r.BytesOut),
		GBSeconds: posting * memory,
	}
	for function, n := range r.Invocations {
		u.Invocations += float64(n)
		u.GBSeconds += float64(n) * price.Milliseconds[function] * milli * float64(m.MemoryMB[function]) * megabyte
	}
	return u
}

// The flows in which publish posts, inline and split, and those in which sweep does. However few its posts are, a publish waits
// for one.
func (m measured) published(r rig.Reading) price.Usage {
	rounds := max(float64(r.Posts+r.Lookups)/price.PostsAtOnce, float64(min(r.Posts, r.Invocations["publish"])))
	return m.usage(r, rounds*price.PostMilliseconds*milli, float64(m.MemoryMB["publish"])*megabyte)
}

func (m measured) split(r rig.Reading) price.Usage {
	return m.usage(r, float64(r.Posts)/price.WorkerRPS, float64(m.MemoryMB["publish"])*megabyte)
}

func (m measured) swept(r rig.Reading) price.Usage {
	return m.usage(r, float64(r.Posts+r.Lookups)/sweepRPS, float64(m.MemoryMB["sweep"])*megabyte)
}

// standing is a month of a stage to which nobody is connected.
func (m measured) standing() price.Usage {
	u := m.swept(m.Flows[nobody][flowSweep]).Times(month * 60)
	u.Metrics, u.AlarmMetrics = float64(len(m.Metrics["sweep"])), float64(m.AlarmMetrics)
	return u
}

// month is a month of the scenario, beside what the stage costs without it.
func (s scenario) month(m measured) price.Usage {
	f, n, minutes := m.Flows[s.Key], float64(s.Connections), s.Hours*60
	sweep := m.swept(f[flowSweep])
	total := sweep.Plus(m.swept(m.Flows[nobody][flowSweep]).Times(-1)).Times(minutes)
	// Everybody but one heard something.
	signs := s.Hours * everyHour / s.Ping.Seconds()
	total = total.Plus(m.swept(f[flowPings]).Plus(sweep.Times(-1)).Times(signs * n / (n - 1)))
	total = total.Plus(m.published(f[flowPong]).Times(signs * n))
	total = total.Plus(m.published(f[flowSession]).Times(n * s.Hours * everyHour / s.Session.Seconds()))
	total = total.Plus(m.published(f[flowMessage]).Times(s.Messages))
	total.ConnectionMinutes += n * minutes
	total.StoredByteMonths += float64(m.TableBytes[s.Key])
	return total
}

// deliveries of what is published, in a month.
func (s scenario) deliveries() float64 { return s.Messages * float64(max(1, s.Room)) }

// once is the occasion.
func (o occasion) once(m measured) price.Usage {
	f := m.Flows[o.Key]
	if o.Comers == 0 {
		return m.split(f[flowAudience])
	}
	return m.published(f[flowConnect]).Times(o.Comers)
}

// page is the bill in Markdown.
func (m measured) page() string {
	var b strings.Builder
	b.WriteString(wrapped(fmt.Sprintf("List prices of %s on %s, first tiers, without the free tier and without the 100 GB of transfer that are free:", price.Region, price.Date)))
	b.WriteString(price.Table())
	standing := m.standing()
	sweep := standing
	sweep.Metrics, sweep.AlarmMetrics = 0, 0
	publishing := price.Usage{Metrics: float64(len(m.Metrics["publish"]))}
	b.WriteString("\n" + wrapped(fmt.Sprintf("**A stage without clients** costs %s a month: the %g metrics that the alarms watch %s, sweep, which runs every minute, %s, "+
		"and its %g metrics %s. Where there is something to publish, the %g metrics of publish are %s more.",
		dollars(standing.Total()), standing.AlarmMetrics, dollars(price.Usage{AlarmMetrics: standing.AlarmMetrics}.Total()),
		dollars(sweep.Total()), standing.Metrics, dollars(price.Usage{Metrics: standing.Metrics}.Total()),
		publishing.Metrics, dollars(publishing.Total()))))
	b.WriteString(wrapped("**Clients, for a month.** Request units, invocations, messages and bytes of log were counted on the local stack, where the real " +
		"functions ran. The column API Gateway is the floor: what it alone charges for these connections and messages. Connections last two hours and are then " +
		"made anew. 8 h a day are 22 days a month; idle connections stay day and night."))
	b.WriteString("| scenario | deliveries | API Gateway | Lambda | DynamoDB | logs | transfer | total | of API Gateway's | per million deliveries | per 1 000 connections |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range scenarios {
		u := s.month(m)
		deliveries, each := "", ""
		if n := s.deliveries(); n > 0 {
			deliveries, each = count(n), dollars(u.Total()/n*million)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", s.Name, deliveries, bill(u), each, dollars(u.Total()/float64(s.Connections)*kilo))
	}
	b.WriteString("\n" + wrapped("**Once**, a broadcast, and a presence storm: everybody connects again at the same time, and everybody is told of each."))
	b.WriteString("| what | posts | API Gateway | Lambda | DynamoDB | logs | transfer | total | of API Gateway's | per million posts |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, o := range occasions {
		u, posts := o.once(m), float64(m.Flows[o.Key][flowAudience].Posts)+o.Comers*float64(m.Flows[o.Key][flowConnect].Posts)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.Name, count(posts), bill(u), dollars(u.Total()/posts*million))
	}
	b.WriteString("\n" + m.assumptions())
	return b.String()
}

// wrapped is a paragraph in lines of 120 characters, and an empty one.
func wrapped(text string) string {
	var b strings.Builder
	width := 0
	for word := range strings.FieldsSeq(text) {
		switch n := utf8.RuneCountInString(word); {
		case width == 0:
			width = n
		case width+1+n > 120:
			b.WriteByte('\n')
			width = n
		default:
			b.WriteByte(' ')
			width += 1 + n
		}
		b.WriteString(word)
	}
	return b.String() + "\n\n"
}

// bill is the columns of what each service takes, their sum, and how much that is of API Gateway's part.
func bill(u price.Usage) string {
	services := u.Dollars()
	columns := make([]string, 0, len(price.Services)+2)
	for _, name := range price.Services {
		columns = append(columns, dollars(services[name]))
	}
	return strings.Join(append(columns, dollars(u.Total()), fmt.Sprintf("%.2f ×", u.Total()/services[price.APIGateway])), " | ")
}

// assumptions are what no machine but AWS's can tell.
func (m measured) assumptions() string {
	var b strings.Builder
	b.WriteString(wrapped(fmt.Sprintf("**Assumed**, because nothing here has run in AWS yet: API Gateway takes %g ms for a post, and a publish has %d of them under way; "+
		"a worker of a split publish makes %g posts a second, sweep %g calls; functions start cold so seldom that it is not in the bill; and they are billed for",
		price.PostMilliseconds, price.PostsAtOnce, price.WorkerRPS, sweepRPS)))
	var names, times strings.Builder
	for _, function := range []string{"authorizer", "connect", "disconnect", "heartbeat", "join", "leave", "default", "publish", "control", "sweep"} {
		fmt.Fprintf(&names, " %s |", function)
		fmt.Fprintf(&times, " %g |", price.Milliseconds[function])
	}
	fmt.Fprintf(&b, "| function |%s\n|---|%s\n| ms, without posts to an audience |%s\n", names.String(), strings.Repeat("--:|", len(price.Milliseconds)), times.String())
	platform := price.Usage{LogBytes: million * price.PlatformLogBytes}
	b.WriteString("\n" + strings.TrimSuffix(wrapped(fmt.Sprintf("**Logs** are the functions' own lines, one for each invocation, with its duration. "+
		"`LogLevel=warn` leaves out those that went well. Keeping logs for 30 days is a few cents for a dollar of taking them in, and not in the bill. "+
		"What Lambda itself logs of an invocation, %d bytes, would be %s per million, more than it takes for invoking. So by default it does that only for "+
		"one that failed or timed out; `SystemLogLevel=INFO` shows of all how much memory they used. Lambda's metrics `Duration` and `Errors` cost nothing.",
		price.PlatformLogBytes, dollars(platform.Total()))), "\n"))
	return b.String()
}

// dollars shows cents, and of small amounts two digits.
func dollars(d float64) string {
	if abs := math.Abs(d); abs >= 0.1 || abs < 1e-9 {
		return fmt.Sprintf("$%.2f", d)
	}
	digits := int(math.Ceil(-math.Log10(math.Abs(d)))) + 1
	return fmt.Sprintf("$%.*f", digits, d)
}

// count groups the digits of a whole number.
func count(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + " " + digits[i:]
	}
	return digits
}
