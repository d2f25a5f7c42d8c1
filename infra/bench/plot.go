package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// Measures of a plot, in pixels.
const (
	plotWidth, plotHeight = 720, 400
	plotLeft, plotRight   = 80, 150
	plotTop, plotBottom   = 50, 50
)

// colours tell series apart, also for those who see few of them.
var colours = []string{"#0072b2", "#d55e00", "#56b4e9", "#e69f00", "#009e73", "#cc79a7"}

// plot writes an image beside the results.
func (b *bench) plot(name, svg string) error {
	if err := os.WriteFile(filepath.Join(b.folder, name), []byte(svg), 0o644); err != nil { //nolint:gosec // G306: a file of the repository
		return fmt.Errorf("plot: %w", err)
	}
	return nil
}

// svg is an image with a title, on white, so that it can be read on any page.
func svg(title, body string, height int) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="13" fill="#222" role="img" aria-label="%s">
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="16" y="28" font-size="16" font-weight="600">%s</text>
%s</svg>
`, plotWidth, height, plotWidth, height, html.EscapeString(title), html.EscapeString(title), body)
}

// bar is a value with its name.
type bar struct {
	name  string
	value float64
}

// barChart shows values as bars from the left.
func barChart(title string, bars []bar) string {
	const step, labels = 34, 130
	most := 1.0
	for _, b := range bars {
		most = max(most, b.value)
	}
	var body strings.Builder
	for i, b := range bars {
		y := plotTop + i*step
		width := b.value / most * (plotWidth - labels - 90)
		fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", labels-10, y+16, html.EscapeString(b.name))
		fmt.Fprintf(&body, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"22\" fill=\"%s\"/>\n", labels, y, width, colours[0])
		fmt.Fprintf(&body, "<text x=\"%.1f\" y=\"%d\">%.0f</text>\n", labels+width+8, y+16, b.value)
	}
	return svg(title, body.String(), plotTop+len(bars)*step+16)
}

// series is a line of a chart.
type series struct {
	name   string
	points [][2]float64 // x and y, both above 0
}

// lineChart shows lines on logarithmic axes.
func lineChart(title, x, y string, lines []series) string {
	lowX, highX, lowY, highY := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, p := range l.points {
			lowX, highX = min(lowX, math.Log10(p[0])), max(highX, math.Log10(p[0]))
			lowY, highY = min(lowY, math.Log10(p[1])), max(highY, math.Log10(p[1]))
		}
	}
	lowX, highX, lowY, highY = math.Floor(lowX), math.Ceil(highX), math.Floor(lowY), math.Ceil(highY)
	const width, height = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
	atX := func(v float64) float64 { return plotLeft + (v-lowX)/max(1, highX-lowX)*width }
	atY := func(v float64) float64 { return plotTop + height - (v-lowY)/max(1, highY-lowY)*height }
	var body strings.Builder
	for v := lowX; v <= highX; v++ {
		fmt.Fprintf(&body, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#ddd\"/>\n<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
			atX(v), atX(v), plotTop, plotTop+height, atX(v), plotTop+height+18, math.Pow(10, v))
	}
	for v := lowY; v <= highY; v++ {
		fmt.Fprintf(&body, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
			plotLeft, plotLeft+width, atY(v), atY(v), plotLeft-8, atY(v)+4, math.Pow(10, v))
	}
	fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", plotLeft+width/2, plotHeight-10, html.EscapeString(x))
	fmt.Fprintf(&body, "<text transform=\"translate(20 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n", plotTop+height/2, html.EscapeString(y))
	for i, l := range lines {
		colour := colours[i%len(colours)]
		var path strings.Builder
		for j, p := range l.points {
			px, py := atX(math.Log10(p[0])), atY(math.Log10(p[1]))
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], px, py)
			fmt.Fprintf(&body, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", px, py, colour)
		}
		fmt.Fprintf(&body, "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", path.String(), colour)
		fmt.Fprintf(&body, "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"4\" fill=\"%s\"/>\n<text x=\"%d\" y=\"%d\">%s</text>\n",
			plotWidth-plotRight+16, plotTop+8+i*22, colour, plotWidth-plotRight+36, plotTop+14+i*22, html.EscapeString(l.name))
	}
	return svg(title, body.String(), plotHeight)
}
