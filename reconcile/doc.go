// Package reconcile drives one run, from what is wanted and what is live to a plan and
// its execution. It knows the shape of a provider and none by name.
//
//	manifest ─▶ state.Spec ─▶ desired ─┐
//	                                   ├─▶ plan.Build ─▶ apply.Run ─▶ report
//	AWS ─▶ Providers.Observe ─▶ live ──┘                    │
//	                                        Providers.Execute ─▶ AWS
package reconcile
