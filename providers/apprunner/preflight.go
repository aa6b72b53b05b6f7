package apprunner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/reconcile/state"
)

// regions are those that App Runner is offered in. It gets no new ones.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
var regions = []string{"ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "eu-central-1", "eu-west-1", "eu-west-2",
	"eu-west-3", "us-east-1", "us-east-2", "us-west-2"}

// memories are the sizes in MiB that go with each number of CPU units.
// https://docs.aws.amazon.com/apprunner/latest/dg/architecture.html
var memories = map[int][]int{256: {512, 1024}, 512: {1024}, 1024: {2048, 3072, 4096}, 2048: {4096, 6144}, 4096: {8192, 10240, 12288}}

// CheckRegion says whether App Runner is offered in a Region. One that is not known may be
// new: whether it answers is the proof.
func CheckRegion(service, region string) state.Check {
	c := state.Check{Service: service, Path: "region", Verdict: state.Passed, Text: "App Runner answers in " + region}
	if !slices.Contains(regions, region) {
		c.Text += ", which AWS does not list for it"
	}
	return c
}

// What App Runner gives a service that says nothing: CPU units and MiB.
// https://docs.aws.amazon.com/apprunner/latest/api/API_InstanceConfiguration.html
const defaultCPU, defaultMemory = 1024, 2048

// CheckSize says whether CPU and memory go together once what the manifest leaves out is
// taken from the live service.
func CheckSize(spec state.Spec, live state.Observed) state.Check {
	size := func(asked *int, path string, otherwise int) (int, string) {
		if asked != nil {
			return *asked, "the manifest's"
		}
		if n, err := strconv.Atoi(live.Value(path)); err == nil {
			return n, "live"
		}
		return otherwise, "App Runner's default"
	}
	cpu, whoseCPU := size(spec.CPU, "cpu", defaultCPU)
	memory, whoseMemory := size(spec.Memory, "memory", defaultMemory)
	text := fmt.Sprintf("%s vCPU (%s) with %s GB (%s)", thousandths(cpu), whoseCPU, thousandths(memory), whoseMemory)
	c := state.Check{Service: spec.Service, Path: "cpu", Verdict: state.Passed, Text: text}
	if spec.CPU == nil && spec.Memory != nil {
		c.Path = "memory"
	}
	if slices.Contains(memories[cpu], memory) {
		return c
	}
	c.Verdict, c.Blame = state.Broken, state.BlameManifest
	c.Text = text + " is not a size App Runner offers"
	var fit []string
	for _, m := range memories[cpu] {
		fit = append(fit, thousandths(m)+" GB")
	}
	c.Fix = fmt.Sprintf("set cpu: and memory: both; %s vCPU goes with %s", thousandths(cpu), strings.Join(fit, ", "))
	return c
}

// thousandths writes a number of 1024ths as people do: 0.25, 1, 12.
func thousandths(n int) string { return strconv.FormatFloat(float64(n)/1024, 'g', -1, 64) }

// CheckName says whether the service can be made, or changed, under its name.
func CheckName(service string, live state.Observed, exists, adopt bool) state.Check {
	c := state.Check{Service: service, Path: "service", Verdict: state.Passed}
	detail, _ := live.Detail.(Live)
	deleting := len(detail.Operations) > 0 && detail.Operations[0].Type == types.OperationTypeDeleteService && !ended(detail.Operations[0].Status)
	switch {
	case !exists:
		c.Text = fmt.Sprintf("the name %q is free", service)
	case deleting:
		c.Verdict, c.Text = state.Broken, "it is being deleted, and its name is taken until that has ended"
		c.Fix = "wait for it: apron status --wait"
	case live.Owner == state.Theirs && !adopt:
		c.Verdict, c.Text = state.Broken, "a service of this name exists and was not made by apron"
		c.Fix = "take it over with --adopt, or choose another name"
		c.Blame = state.BlameManifest
	default:
		c.Text = "it exists, is " + string(detail.Status) + " and belongs to this manifest"
		if live.Owner == state.Theirs {
			c.Text = "it exists, is " + string(detail.Status) + " and would be taken over"
		}
	}
	return c
}
