// Package price turns what a run used of AWS into dollars. Its table of prices is the only one of the project.
package price

// Date is when the list prices below were looked up, and Region whose they are. Tiers above the first, the free tier and savings plans are left
// out: a bill is never above what this package says because of them.
const (
	Date   = "2026-11-23"
	Region = "us-east-1"
)

const (
	million = 1e6
	gib     = 1 << 30
)

// Item is a thing that AWS bills.
type Item struct {
	Service string  // as the bill groups it
	What    string  // what is counted
	Dollars float64 // for Per of it
	Per     float64
	Unit    string // Per in words
	Source  string
	Of      func(Usage) float64 // how much of it was used
}

// The services, as a bill groups them.
const (
	APIGateway = "API Gateway"
	Lambda     = "Lambda"
	DynamoDB   = "DynamoDB"
	CloudWatch = "CloudWatch"
	Transfer   = "Transfer"
)

// Services are all of them, in the order in which a bill is printed.
var Services = []string{APIGateway, Lambda, DynamoDB, CloudWatch, Transfer}

// Items are the prices.
var Items = []Item{
	{
		APIGateway, "a message to or from a client, per 32 KB", 1.00, million, "million", "https://aws.amazon.com/api-gateway/pricing/",
		func(u Usage) float64 { return u.Messages },
	},
	{
		APIGateway, "a connection for a minute", 0.25, million, "million", "https://aws.amazon.com/api-gateway/pricing/",
		func(u Usage) float64 { return u.ConnectionMinutes },
	},
	{
		Lambda, "an invocation", 0.20, million, "million", "https://aws.amazon.com/lambda/pricing/",
		func(u Usage) float64 { return u.Invocations },
	},
	{
		Lambda, "a GB-second, arm64", 13.3334, million, "million", "https://aws.amazon.com/lambda/pricing/",
		func(u Usage) float64 { return u.GBSeconds },
	},
	{
		DynamoDB, "a write unit (1 KB), on demand", 0.625, million, "million", "https://aws.amazon.com/dynamodb/pricing/on-demand/",
		func(u Usage) float64 { return u.Write },
	},
	{
		DynamoDB, "a read unit (4 KB), on demand", 0.125, million, "million", "https://aws.amazon.com/dynamodb/pricing/on-demand/",
		func(u Usage) float64 { return u.Read },
	},
	{
		DynamoDB, "stored for a month, $0.20 of it for point-in-time recovery", 0.45, gib, "GB", "https://aws.amazon.com/dynamodb/pricing/on-demand/",
		func(u Usage) float64 { return u.StoredByteMonths },
	},
	{
		CloudWatch, "log lines taken in", 0.50, gib, "GB", "https://aws.amazon.com/cloudwatch/pricing/",
		func(u Usage) float64 { return u.LogBytes },
	},
	{
		CloudWatch, "a metric of the service's own, for a month", 0.30, 1, "one", "https://aws.amazon.com/cloudwatch/pricing/",
		func(u Usage) float64 { return u.Metrics },
	},
	{
		CloudWatch, "an alarm's metric, for a month", 0.10, 1, "one", "https://aws.amazon.com/cloudwatch/pricing/",
		func(u Usage) float64 { return u.AlarmMetrics },
	},
	{
		Transfer, "out to the internet", 0.09, gib, "GB", "https://aws.amazon.com/ec2/pricing/on-demand/",
		func(u Usage) float64 { return u.BytesOut },
	},
}

// What cannot be measured on one machine is assumed here, once. Nothing of this project has run in AWS yet.
const (
	// PostMilliseconds is how long API Gateway takes for a post.
	PostMilliseconds = 8.0
	// PostsAtOnce is how many of them an invocation has under way (shared/realtime).
	PostsAtOnce = 64
	// WorkerRPS is how many posts a second a worker of a split publish makes: FANOUT_RPS over the number of its workers.
	WorkerRPS = 1250.0
	// PlatformLogBytes is what Lambda itself logs of an invocation that succeeds, as JSON: platform.start and platform.report. With
	// SystemLogLevel=WARN, the template's default, it logs neither (AWS: "System log level event mapping").
	PlatformLogBytes = 600
)

// Milliseconds is the assumed duration of an invocation of each function, billed, without the time for posts to an audience: table requests
// of 4 ms each, an asynchronous invocation of 15 ms, a reply of 8 ms, and what the function takes itself.
var Milliseconds = map[string]float64{
	"authorizer": 3,
	"connect":    25,
	"control":    15,
	"default":    20,
	"disconnect": 30,
	"heartbeat":  20,
	"join":       20,
	"leave":      15,
	"publish":    20,
	"sweep":      500,
}
