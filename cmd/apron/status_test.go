package main

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestStatus_saysHowFarAnOperationIs(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	op := func(id string, status types.OperationStatus, ago, took time.Duration) types.OperationSummary {
		o := types.OperationSummary{Id: &id, Type: types.OperationTypeUpdateService, Status: status, StartedAt: aws.Time(now.Add(-ago))}
		if took > 0 {
			o.EndedAt = aws.Time(now.Add(took - ago))
		}
		return o
	}
	service := state.Observed{Resource: state.Resource{Address: apprunner.Service("web"), Detail: apprunner.Live{
		Status: types.ServiceStatusOperationInProgress, Operations: []types.OperationSummary{
			op("2", types.OperationStatusInProgress, 80*time.Second, 0), op("1", types.OperationStatusSucceeded, time.Hour, 185*time.Second)}}}, ID: "arn"}
	st := statusOf(state.Spec{Service: "web"}, state.Live{service.Address: service}, now, false)
	require.Equal(t, "OPERATION_IN_PROGRESS", st.Status)
	require.Equal(t, []render.Operation{
		{ID: "2", Type: "UPDATE_SERVICE", Status: "IN_PROGRESS", StartedAt: "2026-11-26T11:58:40Z", SoFar: "1m20s", Usual: "3m5s"},
		{ID: "1", Type: "UPDATE_SERVICE", Status: "SUCCEEDED", StartedAt: "2026-11-26T11:00:00Z", Took: "3m5s"},
	}, st.Operations)
	require.Equal(t, "ABSENT", statusOf(state.Spec{Service: "api"}, nil, now, false).Status)
}
