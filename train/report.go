package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
)

// begin announces the run and, for a fresh one, saves the initial checkpoint.
func (r *Run) begin() error {
	c := r.model.Config
	r.logged(r.sink.Start(record.Start{
		Name: c.Name, Method: c.Method.Name, Steps: r.at.Total, StepsPerEpoch: r.perEpoch, First: r.at.Step,
	}))
	if r.at.Step > 0 {
		return nil
	}
	return r.write()
}

// report takes the batches that have left the network in the time since began, which they share with the calls that
// no batch left in.
func (r *Run) report(left []local.Outcome, began time.Time) {
	r.peak = max(r.peak, r.model.Device().Memory().Peak)
	r.spent += time.Since(began).Seconds()
	if len(left) == 0 {
		return
	}
	each := r.spent / float64(len(left))
	r.spent = 0
	for _, o := range left {
		r.reportStep(o, each)
	}
}

// reportStep moves the run's position behind a step, adds the step to the epoch's sums and sends an event every few.
func (r *Run) reportStep(o local.Outcome, seconds float64) {
	r.at.Step++
	r.at.Batch++
	r.at.Seconds += seconds
	r.times = append(r.times, seconds)
	sgr, cos := agreements(o.Stats)
	busy, wait := times(o.Stats)
	loss := lastLoss(o.Stats)
	s := &r.at.Sums
	s.Steps++
	s.Seconds += seconds
	s.Loss += loss
	r.at.Lowest.Since.add(loss)
	addEach(&s.SGR, sgr)
	addEach(&s.Cos, cos)
	addEach(&s.Busy, busy)
	addEach(&s.Wait, wait)
	event := record.Step{
		Step: r.at.Step, Epoch: r.at.Epoch + 1, Loss: loss, LR: o.LR, SGRLoss: sgr, SGRCos: cos,
		ModuleBusy: busy, ModuleWait: wait,
	}
	for _, m := range o.Stats {
		event.ModuleLoss = append(event.ModuleLoss, m.Loss)
	}
	recent := r.times[max(0, len(r.times)-stepsPerEvent):]
	var sum float64
	for _, t := range recent {
		sum += t
	}
	event.Seconds = sum / float64(len(recent))
	event.ImagesPerSecond = float64(r.model.Config.Data.Batch) / event.Seconds
	if r.at.Step%stepsPerEvent == 0 || r.at.Step == r.at.Total {
		r.logged(r.sink.Step(event))
		return
	}
	r.live.Step(event)
}

// endEpoch evaluates where that is due, and moves on to the next epoch.
func (r *Run) endEpoch(ctx context.Context) error {
	if r.due() && r.at.Evaluated < r.at.Step {
		if err := r.assess(ctx); err != nil {
			return err
		}
	}
	if r.at.Batch >= r.perEpoch {
		r.at.Epoch, r.at.Batch = r.at.Epoch+1, 0
	}
	return nil
}

// assess evaluates, keeps the weights if they are the best so far, and sends the event.
func (r *Run) assess(ctx context.Context) error {
	e, err := r.measured(ctx, r.underWay())
	if err != nil {
		return err
	}
	better := e.ValAcc != nil && *e.ValAcc > r.at.Best && r.saveBest()
	if better {
		r.at.Best = *e.ValAcc
	}
	r.at.Evaluated, r.evaluated = r.at.Step, true
	if r.at.Batch >= r.perEpoch || r.at.Step < r.at.Total {
		r.at.Sums = sums{}
	}
	r.logged(r.sink.Epoch(e))
	r.wait(better)
	return nil
}

// underWay is the number, from 1, of the epoch that the last step belongs to.
func (r *Run) underWay() int {
	if r.at.Batch == 0 {
		return r.at.Epoch
	}
	return r.at.Epoch + 1
}

// saveBest writes the weights that did best on validation images, and reports whether that was possible.
func (r *Run) saveBest() bool {
	err := r.saveWeights(bestFile, nil)
	if err != nil {
		r.notice(fmt.Sprintf("the best weights so far are not saved: %v", err))
	}
	return err == nil
}

// evaluateAgain evaluates a run whose record lacks its last evaluation, because a loss of power took it.
func (r *Run) evaluateAgain(ctx context.Context) error {
	if r.at.Evaluated == 0 || r.evaluated || r.log.LastEpoch() == r.at.Evaluated {
		return nil
	}
	e, err := r.measured(ctx, r.underWay())
	if err == nil {
		r.logged(r.sink.Epoch(e))
	}
	return err
}

// measured evaluates, and returns the event of an epoch.
func (r *Run) measured(ctx context.Context, epoch int) (e record.Epoch, err error) {
	test, err := r.evaluate(ctx, r.set.Part(data.Test))
	if err != nil {
		return e, err
	}
	s := r.at.Sums
	last := test[len(test)-1]
	e = record.Epoch{
		Epoch: epoch, Step: r.at.Step, TrainLoss: s.Loss / float64(s.Steps),
		TestAcc: last.Top1, TestTop5: last.Top5, TestLoss: &last.Loss,
		LR: r.rate(r.at.Step - 1), SGRLoss: values(s.SGR), SGRCos: values(s.Cos),
		ModuleBusy: values(s.Busy), ModuleWait: values(s.Wait),
		Seconds: s.Seconds, ImagesPerSecond: float64(s.Steps*r.model.Config.Data.Batch) / s.Seconds,
		PeakBytes: r.peak, RestingBytes: r.model.RestingBytes(), Scores: scores(test), Measure: r.model.measureOf(),
	}
	for _, h := range test {
		e.ModuleAcc, e.ModuleTop5 = append(e.ModuleAcc, h.Top1), append(e.ModuleTop5, h.Top5)
	}
	if e.EMAAcc, err = r.averaged(ctx); err != nil {
		return e, err
	}
	if r.diagnosing() {
		train, err := r.evaluate(ctx, r.seen())
		if err != nil {
			return e, err
		}
		e.TrainAcc = &train[len(train)-1].Top1
	}
	if r.set.Part(data.Validation).Len() > 0 {
		val, err := r.evaluate(ctx, r.set.Part(data.Validation))
		if err != nil {
			return e, err
		}
		e.ValAcc = &val[len(val)-1].Top1
	}
	return e, nil
}

// averaged returns the accuracy on the test set of every head of the averaged weights, nil where the optimizers keep no
// averages. Running statistics are those of the last weights, as in the averages' file.
func (r *Run) averaged(ctx context.Context) (acc []float64, err error) {
	if r.model.Config.Optim.EMA == 0 {
		return nil, nil
	}
	err = r.withAverages(func() error {
		heads, err := r.evaluate(ctx, r.set.Part(data.Test))
		for _, h := range heads {
			acc = append(acc, h.Top1)
		}
		return err
	})
	return acc, err
}

// Accuracy of one head in percent, with its mean cross-entropy and what else the method measures it by. Of samples that have any
// number of classes, Top1 is the mean average precision, Top5 is NaN, and the loss is the mean binary cross-entropy.
type Accuracy struct {
	Top1, Top5, Loss float64
	Others           []Named
}

// Named is a measure with the name that events give it.
type Named struct {
	Name  string
	Value float64
}

// scores gathers by their names what heads are measured by besides accuracy; nil where that is all.
func scores(heads []Accuracy) record.Scores {
	var all record.Scores
	for _, h := range heads {
		for _, o := range h.Others {
			if all == nil {
				all = record.Scores{}
			}
			all[o.Name] = append(all[o.Name], o.Value)
		}
	}
	return all
}

func (r *Run) evaluate(ctx context.Context, images data.Samples) ([]Accuracy, error) {
	defer r.watch.during("evaluation", func() string { return fmt.Sprintf("the evaluation at step %d is not done", r.at.Step) })()
	heads, err := r.model.measure(ctx, r.set, images, r.info.Mean, r.info.Std)
	if err == nil {
		if overflow := r.model.overflowed(heads); overflow != nil {
			r.notice(fmt.Sprintf("step %d: %v", r.at.Step, overflow))
		}
	}
	return heads, err
}

// finish draws the curves of the whole run, what came before a resumption included, and writes the summary.
func (r *Run) finish(stopped string) (record.Summary, error) {
	c := r.model.Config
	s := record.Summary{
		Name: c.Name, Method: c.Method.Name, Model: c.Model.Name, Dataset: r.info.Name, Subset: r.info.Subset, Seed: c.Seed,
		Modules: len(r.model.Learner.Modules()), Cuts: r.model.Cuts(), Steps: r.at.Step, Epochs: r.at.Epoch,
		TestAcc: math.NaN(), TestTop5: math.NaN(), TestImages: r.set.Part(data.Test).Len(),
		Measure: r.model.measureOf(), PeakBytes: r.peak, RestingBytes: r.model.RestingBytes(),
		Seconds: r.at.Seconds, SecondsPerStep: median(r.times),
		Threads: torch.Threads(), Precision: c.Precision, Stopped: stopped, Data: record.Data(r.at.Data),
	}
	if err := r.folder.Check(); err != nil {
		return s, err
	}
	log, err := readMetrics(r.folder.Path(metricsFile))
	if err != nil {
		return s, err
	}
	s.KNN = r.model.Views() > 1
	for _, h := range r.probed {
		s.ProbeAcc, s.ProbeTop5 = append(s.ProbeAcc, h.Top1), append(s.ProbeTop5, h.Top5)
	}
	if len(r.times) == 0 { // resumed when it was done
		s.SecondsPerStep = median(stepSeconds(log.Steps))
	}
	if n := len(log.Epochs); n > 0 {
		e := log.Epochs[n-1]
		s.TestAcc, s.TestTop5, s.ModuleAcc, s.EMAAcc, s.Scores = e.TestAcc, e.TestTop5, e.ModuleAcc, e.EMAAcc, e.Scores
		s.ValAcc, s.PeakBytes = e.ValAcc, max(s.PeakBytes, e.PeakBytes)
		if err := record.PlotRun(r.folder.Dir, log.Epochs, log.Steps); err != nil {
			return s, err
		}
	}
	s.Ranks = r.ranks(s)
	if len(log.Diagnoses) > 0 {
		if err := r.drawDiagnoses(log); err != nil {
			return s, err
		}
	}
	return s, record.WriteJSON(r.folder.Path(summaryFile), s)
}

// ranks are the processes that have a part of the modules each; nil where one has all of them, or where one is gone.
func (r *Run) ranks(s record.Summary) []record.Rank {
	if r.mesh == nil {
		return nil
	}
	others, err := r.mesh.Held()
	if err != nil || len(others) == 0 {
		return nil
	}
	all := []record.Rank{{PeakBytes: s.PeakBytes, RestingBytes: s.RestingBytes}}
	for _, o := range others {
		all = append(all, record.Rank{PeakBytes: o.Peak, RestingBytes: o.Resting})
	}
	return all
}

// summary returns the summary of a run that was finished before this process, of which it is the last word.
func (r *Run) summary() (s record.Summary, done bool) {
	if !r.finished() || r.log.LastEpoch() != r.at.Evaluated || !r.folder.Has(summaryFile) {
		return s, false
	}
	text, err := disk.ReadFile(r.folder.Path(summaryFile))
	if err != nil || json.Unmarshal(text, &s) != nil {
		return record.Summary{}, false
	}
	return s, s.Stopped == "" && s.Steps == r.at.Step
}

func stepSeconds(steps []record.Step) []float64 {
	var seconds []float64
	for _, s := range steps {
		seconds = append(seconds, s.Seconds)
	}
	return seconds
}

func readMetrics(path string) (record.Log, error) {
	f, err := disk.Open(path)
	if err != nil {
		cause, _ := disk.Cause(err)
		return record.Log{}, fault.New("%s cannot be read: %w", show.Name(path), cause)
	}
	defer f.Close()
	return record.ReadJSONL(f)
}
