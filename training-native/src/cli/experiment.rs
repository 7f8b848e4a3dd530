//! `namelens experiment`: the arms of RESULTS.md, run, measured and put into tables.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{eprintln, print, println};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use namelens::device::DeviceChoice;
use namelens::digests::model_digest;
use namelens::experiment::arm::{self, Paths, RULE};
use namelens::experiment::gate::{self, Passed};
use namelens::experiment::plan::{BASE, PLAN, Plan};
use namelens::experiment::record::{self, Record};
use namelens::experiment::schedule::{Run, due, find, of_arm};
use namelens::experiment::{pool, report};
use namelens::rl::policy::Policy;
use namelens::{page, whole_file};

use crate::cli::interrupt::{leave_if, stop_on_ctrl_c};
use crate::cli::numbers::at_least_one;

/// Options of `namelens experiment`.
#[derive(Debug, Args)]
#[command(after_help = "\
The plan says which arms there are: settings of `namelens grpo`, learning rates that are tried with seed 1 on validation, and seeds.
`run` first asks whether the base is one that can be improved (pass@8 - pass@1), measures it, and then begins what is due, each run a
process of one thread. Killed at any moment, the same command goes on; what has results is not run again.

Examples:
  namelens experiment list
  namelens experiment run    --base runs/base/bundle --runs runs/arms --jobs 2
  namelens experiment test   --base runs/base/bundle --runs runs/arms        # once, at the very end
  namelens experiment report --write training-native/RESULTS.md --plots training-native/figures")]
pub(super) struct ExperimentArgs {
    #[command(subcommand)]
    what: What,
    /// The plan; the one of RESULTS.md where it is not given.
    #[arg(long, global = true, value_name = "FILE.toml")]
    plan: Option<PathBuf>,
    /// Folder of results, a small file a run.
    #[arg(
        long,
        global = true,
        default_value = "training-native/results/experiment"
    )]
    results: PathBuf,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print what is finished and what is due.
    List,
    /// Ask whether the base can be improved, and print what it gets right.
    Gate(Places),
    /// Train and measure all that is due.
    Run {
        #[command(flatten)]
        places: Places,
        /// Runs side by side.
        #[arg(long, default_value_t = 2, value_parser = at_least_one)]
        jobs: usize,
        /// Only these arms.
        #[arg(long, value_delimiter = ',')]
        arms: Vec<String>,
        /// Go on although the base is not one that can be improved.
        #[arg(long)]
        whatever_the_gate_says: bool,
    },
    /// Train and measure one run: what `run` begins.
    #[command(hide = true)]
    One {
        #[command(flatten)]
        places: Places,
        /// Name of the run.
        #[arg(long)]
        key: String,
    },
    /// Measure on the test split what counts: the rule, the base, and all seeds of all arms. Once, at the very end; several
    /// processes of it share the work.
    Test(Places),
    /// Make the tables and the plot from the results.
    Report {
        /// Page to put the tables into, between `<!-- experiment:begin -->` and `<!-- experiment:end -->`.
        #[arg(long)]
        write: Option<PathBuf>,
        /// Folder to draw `experiment.png` into.
        #[arg(long)]
        plots: Option<PathBuf>,
    },
}

/// Where models are.
#[derive(Debug, Args)]
struct Places {
    /// Model folder that everything starts from.
    #[arg(long)]
    base: PathBuf,
    /// Folder of runs.
    #[arg(long)]
    runs: PathBuf,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceChoice,
}

impl ExperimentArgs {
    /// Does it.
    ///
    /// # Errors
    /// When the plan makes no sense, or models, files or the device fail.
    pub(super) fn run(&self) -> Result<()> {
        let plan = match &self.plan {
            Some(path) => {
                let shown = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {shown}"))?;
                Plan::parse(&text).context(shown)?
            }
            None => Plan::parse(PLAN)?,
        };
        match &self.what {
            What::List => self.list(&plan),
            What::Gate(places) => self.gate(&plan, places).map(|_| ()),
            What::Run {
                places,
                jobs,
                arms,
                whatever_the_gate_says,
            } => {
                for name in arms {
                    plan.arm(name)?;
                }
                self.check_base(places)?;
                let passed = self.gate(&plan, places)?;
                if passed.gain() < plan.gate.least && !whatever_the_gate_says {
                    bail!(
                        "pass@{} - pass@1 of the base is {:.3}, below {}: reinforcement would have little to reinforce. Change the \
                         base, or say --whatever-the-gate-says",
                        passed.samples,
                        passed.gain(),
                        plan.gate.least
                    );
                }
                self.run_due(&plan, places, *jobs, arms)
            }
            What::One { places, key } => self.one(&plan, places, key),
            What::Test(places) => self.test(&plan, places),
            What::Report { write, plots } => self.report(&plan, write.as_deref(), plots.as_deref()),
        }
    }

    /// Refuses a base other than that of the results that are there: a comparison is of one.
    fn check_base(&self, places: &Places) -> Result<()> {
        let base = model_digest(&places.base)?;
        let records = record::read(&self.results)?;
        let gate: Option<Passed> = match std::fs::read(self.gate_file()) {
            Ok(text) => serde_json::from_slice(&text).ok(),
            Err(_) => None,
        };
        let bases = records.iter().map(|record| record.base.as_str());
        let of_gate = gate.iter().map(|gate| gate.base.as_str());
        let mut others = bases.chain(of_gate.filter(|base| !base.is_empty()));
        ensure!(
            others.all(|other| other == base),
            "{} holds results of another base than {}; say --base, or name another --results",
            self.results.display(),
            places.base.display()
        );
        Ok(())
    }

    fn paths(&self, places: &Places) -> Paths {
        Paths {
            base: places.base.clone(),
            runs: places.runs.clone(),
            results: self.results.clone(),
        }
    }

    fn list(&self, plan: &Plan) -> Result<()> {
        let records = record::read(&self.results)?;
        let condition = plan.primary_condition();
        for record in &records {
            let key = Record::key(&record.arm, record.learning_rate, record.seed);
            let score = record.binding("val", condition).unwrap_or(f64::NAN);
            println!(
                "{key:32} done, binding F1 {score:.3} on validation, {condition} + {condition}"
            );
        }
        for run in due(plan, &records, &[])? {
            println!("{:32} due", run.key());
        }
        Ok(())
    }

    /// What samples of the base get right: asked once and kept beside the results.
    fn gate(&self, plan: &Plan, places: &Places) -> Result<Passed> {
        let path = self.gate_file();
        let passed = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is damaged", path.display()))?,
            Err(_) => {
                let device = places.device.open()?;
                let config = plan.config(&plan.arms[0], 0.0, 0)?;
                let policy = Policy::open(&places.base, &config, &device)?;
                let passed = Passed {
                    base: model_digest(&places.base)?,
                    ..gate::pass(&policy, plan, &config)?
                };
                std::fs::create_dir_all(&self.results)?;
                let text = serde_json::to_string_pretty(&passed)? + "\n";
                whole_file::write(&path, text.as_bytes())?;
                passed
            }
        };
        println!(
            "names exactly right: pass@1 {:.3}, pass@{} {:.3}, gain {:.3}; with looks: {:.3} and {:.3}",
            passed.names_at_1,
            passed.samples,
            passed.names_at_k,
            passed.gain(),
            passed.binding_at_1,
            passed.binding_at_k
        );
        Ok(passed)
    }

    /// Beside the folder of results, whose files are all of runs.
    fn gate_file(&self) -> PathBuf {
        self.results.with_extension("gate.json")
    }

    fn run_due(&self, plan: &Plan, places: &Places, jobs: usize, arms: &[String]) -> Result<()> {
        let paths = self.paths(places);
        let records = record::read(&self.results)?;
        if [RULE, BASE]
            .iter()
            .any(|name| of_arm(plan, name, &records).is_empty())
        {
            arm::baselines(plan, &paths, &places.device.open()?)?;
        }
        let program = std::env::current_exe()?;
        let stop: Arc<AtomicBool> = stop_on_ctrl_c("generation of each run")?;
        let command = |run: &Run| {
            let mut command = Command::new(&program);
            // One core a run: as many run side by side as were asked for.
            command.env("RAYON_NUM_THREADS", "1").arg("experiment");
            if let Some(plan) = &self.plan {
                command.arg("--plan").arg(plan);
            }
            command.arg("--results").arg(&self.results).arg("one");
            command.arg("--base").arg(&places.base);
            command.arg("--runs").arg(&places.runs);
            command.args(["--device", places.device.word()]);
            command.args(["--key", &run.key()]);
            command
        };
        let folders = (places.runs.as_path(), self.results.as_path());
        pool::run(plan, arms, folders, jobs, &stop, command, |line| {
            eprintln!("{line}");
        })?;
        leave_if(stop.load(Ordering::Relaxed));
        Ok(())
    }

    fn one(&self, plan: &Plan, places: &Places, key: &str) -> Result<()> {
        let due = due(plan, &record::read(&self.results)?, &[])?;
        let run = due.iter().find(|run| run.key() == key);
        let run = run.with_context(|| format!("no run '{key}' is due"))?;
        let _claim = pool::claim(&places.runs.join(key))?;
        let stop = stop_on_ctrl_c("generation")?;
        let paths = self.paths(places);
        match arm::run(plan, run, &paths, &places.device.open()?, &stop)? {
            Some(_) => (),
            None => {
                eprintln!("interrupted; the same command goes on");
                leave_if(true);
            }
        }
        Ok(())
    }

    fn test(&self, plan: &Plan, places: &Places) -> Result<()> {
        let records = record::read(&self.results)?;
        let (paths, device) = (self.paths(places), places.device.open()?);
        let names = [RULE, BASE].into_iter().map(str::to_owned);
        for name in names.chain(plan.arms.iter().map(|arm| arm.name.clone())) {
            for record in of_arm(plan, &name, &records) {
                if record.splits.contains_key("test") {
                    continue;
                }
                let (rate, seed) = (record.learning_rate, record.seed);
                let key = Record::key(&name, rate, seed);
                let Ok(_claim) = pool::claim(&places.runs.join(&key)) else {
                    eprintln!("{key}: another process is at it");
                    continue;
                };
                // Another process may have measured it since the results were read.
                let now = record::read(&self.results)?;
                let now = find(&now, &name, rate, seed);
                if now.is_none_or(|now| !now.splits.contains_key("test")) {
                    eprintln!("{key}");
                    arm::test(plan, record, &paths, &device)?;
                }
            }
        }
        Ok(())
    }

    fn report(&self, plan: &Plan, write: Option<&Path>, plots: Option<&Path>) -> Result<()> {
        let records = record::read(&self.results)?;
        let gate: Option<Passed> = match std::fs::read(self.gate_file()) {
            Ok(text) => Some(serde_json::from_slice(&text).context("the gate's file is damaged")?),
            Err(_) => None,
        };
        let tables = report::tables(plan, &records, gate.as_ref())?;
        match write {
            Some(page) => page::put(page, report::PART, &tables)?,
            None => print!("{tables}"),
        }
        if let Some(folder) = plots {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
            report::plot(plan, &records, &folder.join("experiment.png"))?;
        }
        Ok(())
    }
}
