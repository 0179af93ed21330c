BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE eenas_bank (
	"key" TEXT NOT NULL, 
	backbone TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "eenas_bank" VALUES('62a3bb2e2c8d3a11','0f88ab40a6233242','{"key": "62a3bb2e2c8d3a11", "backbone": "0f88ab40a6233242", "cut_point": "0", "branch": {"kind": "pool_fc", "pool": "mixed", "size": 4}, "task": "393419dbfd477cd8", "samples": 112, "artifact": "branch-62a3bb2e2c8d3a11-fe239b90.safetensors@sha256:32a40de27a704c38d86e5ea171cbecedc803fdbd7100820f976463bfda7c0d0b"}');
INSERT INTO "eenas_bank" VALUES('f501e6a411897d69','0f88ab40a6233242','{"key": "f501e6a411897d69", "backbone": "0f88ab40a6233242", "cut_point": "0", "branch": {"kind": "fc"}, "task": "393419dbfd477cd8", "samples": 112, "artifact": "branch-f501e6a411897d69-17068c35.safetensors@sha256:2a3453818a2547341e717737c5e333f89911fd13ad4edb131d2f71d32ad9e21c"}');
INSERT INTO "eenas_bank" VALUES('0b74d1c782660e2a','0f88ab40a6233242','{"key": "0b74d1c782660e2a", "backbone": "0f88ab40a6233242", "cut_point": "1", "branch": {"kind": "fc"}, "task": "393419dbfd477cd8", "samples": 112, "artifact": "branch-0b74d1c782660e2a-de75192a.safetensors@sha256:05476fbc399e6fb311a2cf02d57f9e887a922ccb68cadd85b7399b40315ae53f"}');
INSERT INTO "eenas_bank" VALUES('9a7065ef115ca6d2','0f88ab40a6233242','{"key": "9a7065ef115ca6d2", "backbone": "0f88ab40a6233242", "cut_point": "1", "branch": {"kind": "pool_fc", "pool": "mixed", "size": 4}, "task": "393419dbfd477cd8", "samples": 112, "artifact": "branch-9a7065ef115ca6d2-2ed1189e.safetensors@sha256:e17094f6f6922b4edd6b185d4a76ba75ee28c60b1ae82c23ac02d14a98708578"}');
INSERT INTO "eenas_bank" VALUES('b648c50e40d0519d','0f88ab40a6233242','{"key": "b648c50e40d0519d", "backbone": "0f88ab40a6233242", "cut_point": "2", "branch": {"kind": "fc"}, "task": "393419dbfd477cd8", "samples": 112, "artifact": "branch-b648c50e40d0519d-deb08618.safetensors@sha256:7f064283d0f7ebe44098913fd40f8e10c77339e40e3714e1fe99e59ac613702c"}');
INSERT INTO "eenas_bank" VALUES('98efc355c6a0ea3f','0f88ab40a6233242','{"key": "98efc355c6a0ea3f", "backbone": "0f88ab40a6233242", "cut_point": "2", "branch": {"kind": "pool_fc", "pool": "mixed", "size": 4}, "task": "393419dbfd477cd8", "samples": 112, "artifact": "branch-98efc355c6a0ea3f-db38db0d.safetensors@sha256:07dd977bc5ff008cf24aea92049efa74d16075c6a5b44281157ad9f68b7dfae1"}');
INSERT INTO "eenas_bank" VALUES('4294029b78865a81','0f88ab40a6233242','{"key": "4294029b78865a81", "backbone": "0f88ab40a6233242", "cut_point": "final", "branch": {}, "task": "393419dbfd477cd8", "samples": 0, "artifact": "branch-4294029b78865a81-706a87a3.safetensors@sha256:493b54516a8567df5abfafb5e396d953676028c471222e15f6e0129764d5afbf"}');
CREATE TABLE eenas_learning_curves (
	study TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	method TEXT NOT NULL, 
	curve TEXT NOT NULL, 
	PRIMARY KEY (study, number)
);
INSERT INTO "eenas_learning_curves" VALUES('Sequential-smallest-3a4206',0,'distillation','[[0.26666666666666666, 0.35115471465717807], [0.5333333333333333, 0.35115471465717807], [0.8, 0.37456502896765664], [1.0, 0.37456502896765664]]');
INSERT INTO "eenas_learning_curves" VALUES('Sequential-smallest-3a4206',2,'distillation','[[0.26666666666666666, 0.25869594224716036], [0.5333333333333333, 0.2609726118790202]]');
INSERT INTO "eenas_learning_curves" VALUES('Sequential-smallest-3a4206',3,'distillation','[[0.26666666666666666, 0.26651917681675114], [0.5333333333333333, 0.2504024394416314]]');
CREATE TABLE eenas_leases (
	name TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	beat INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE eenas_measurements (
	digest TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "eenas_measurements" VALUES('a575aa64896e1ae9198f5458a3aa3770718929b66a5f2eabee3c14cffc05cf49','latency/backbone/module:Sequential/ac81eb520943916a','{"latency_ms": [{"median_ms": 0.05423, "p95_ms": 0.0650282, "spread": 0.26749031901161713, "repeats": 3, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.045723, "high_ms": 0.060229, "rejected": 0, "doubtful": false, "reference_ms": null}, {"median_ms": 0.059669, "p95_ms": 0.059669, "spread": 0.0, "repeats": 1, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.059669, "high_ms": 0.059669, "rejected": 2, "doubtful": false, "reference_ms": null}, {"median_ms": 0.0811355, "p95_ms": 0.08316815, "spread": 0.027836150636897664, "repeats": 2, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.08000625, "high_ms": 0.08226475, "rejected": 1, "doubtful": false, "reference_ms": null}, {"median_ms": 0.1449045, "p95_ms": 0.18403155, "spread": 0.30002173845532737, "repeats": 2, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.12316725, "high_ms": 0.16664175, "rejected": 1, "doubtful": false, "reference_ms": null}], "total_latency": {"median_ms": 0.143963, "p95_ms": 0.143963, "spread": 0.0, "repeats": 1, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.143963, "high_ms": 0.143963, "rejected": 2, "doubtful": false, "reference_ms": null}, "plain_latency": {"median_ms": 0.189381, "p95_ms": 0.23583539999999997, "spread": 0.27255110069119903, "repeats": 2, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, the module", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.163573, "high_ms": 0.215189, "rejected": 1, "doubtful": false, "reference_ms": null}, "decision": {"median_ms": 0.04701525, "p95_ms": 0.049297521962447084, "spread": 0.17393904852569084, "repeats": 3, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, the loop of predict", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.040105391016828675, "high_ms": 1.9736081361794473, "rejected": 0, "doubtful": true, "reference_ms": null}, "joints": {"cut_ms": [0.0, 0.0, 0.0, 0.0], "call_ms": 0.0, "entry_ms": 0.01862225}}');
INSERT INTO "eenas_measurements" VALUES('f34551271813e56582c143ac3248b9d01970a2ea322ab5b51d4f377362f79557','macs/branch/fc/534e12b90db93097','{"macs": 2052, "parameters": 2052}');
INSERT INTO "eenas_measurements" VALUES('eb38aca4f0faa2420d93927522072a36a10878ecd2d428da6675c3c1d22c2195','macs/branch/pool_fc mixed/c5b2a02aa4b22f52','{"macs": 516, "parameters": 517}');
INSERT INTO "eenas_measurements" VALUES('35f664dbe514854e899b015820424b29f4d07454980b24349aa7164f4af793ce','macs/branch/conv_pool_fc 1x16 mixed/164df288814e315f','{"macs": 18692, "parameters": 1445}');
INSERT INTO "eenas_measurements" VALUES('f84366b3e0b72099bd89f812a49d9e1793ff3a85598f0e5075af4ed63afcfa97','macs/branch/fc/3d4474f28653302c','{"macs": 1028, "parameters": 1028}');
INSERT INTO "eenas_measurements" VALUES('3e42d8dcb611f6403f0b54513940e876ad101e6d817394ce3246060b1b7cf6a9','macs/branch/pool_fc mixed/de55bf827ef73a46','{"macs": 1028, "parameters": 1029}');
INSERT INTO "eenas_measurements" VALUES('95019bab1fd978bb9d064259e936a88723f2b10d582ffc7b4c958fb1c80c2137','macs/branch/conv_pool_fc 1x16 mixed/325b1716a1cfc4e9','{"macs": 9476, "parameters": 2597}');
INSERT INTO "eenas_measurements" VALUES('31aedb27a1eee95b1d175c9c64a528309bd247d6f84a92d7e7dd31c09cf9a7b2','macs/branch/pool_fc avg/93873a5cdb63eab5','{"macs": 1028, "parameters": 1028}');
INSERT INTO "eenas_measurements" VALUES('c2f86d615c9c7fc58f37350ea1ed56f1480e51e4df443f09f9a89dcf69d285cf','macs/branch/conv_pool_fc 1x16 avg/b4bc23769069c669','{"macs": 9476, "parameters": 2596}');
INSERT INTO "eenas_measurements" VALUES('f41c2c4623eb2f96cc3963ca7ad269291be691fd6bc2ae724b719310a9bcccf6','macs/branch/conv_pool_fc 1x32 avg/4d2f94bc9f77cb6f','{"macs": 18948, "parameters": 5188}');
INSERT INTO "eenas_measurements" VALUES('3860c043f0f66c67892d6a5279bcf4fe08bb069956614aa346af9328e04346c3','macs/branch/conv_pool_fc 1x32 mixed/dc8ec4062e1aadf1','{"macs": 18948, "parameters": 5189}');
INSERT INTO "eenas_measurements" VALUES('c0e739e171a73c8fe6bc11c537d7e0f1e2b12b0457ad3e09a528aa458ff63ace','macs/branch/pool_fc avg/5ff800d9bdb2e93f','{"macs": 516, "parameters": 516}');
INSERT INTO "eenas_measurements" VALUES('98e52cd6487eb6844f0e9d788fa6c6f8b2fe602ded299ca5f6f8ab8c83e02753','macs/branch/conv_pool_fc 1x16 avg/faf9e9914f8b311b','{"macs": 18692, "parameters": 1444}');
INSERT INTO "eenas_measurements" VALUES('abfced96ff12bc357aed531666c6354b738af086c35efc17755a80d12af64b61','macs/branch/conv_pool_fc 1x32 avg/d370dd2f069ab56d','{"macs": 37380, "parameters": 2884}');
INSERT INTO "eenas_measurements" VALUES('492678b3b14bb921c49babd31718ad67420db208ebbf6980c1fe8795b98e88b0','macs/branch/conv_pool_fc 1x32 mixed/7751b8a194a3ea02','{"macs": 37380, "parameters": 2885}');
INSERT INTO "eenas_measurements" VALUES('97967586053f666563416936e26605040328ca9d148a9b051b72c481bda74c40','frozen_front/d1695cf5d1898d72','{"accuracy": [0.625], "cost": [0.16358742758085854], "designs": [{"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [{"cut_point": "0", "branch": {"kind": "pool_fc", "pool": "mixed", "size": 4}}], "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 0.5, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {}}], "method": "all 27 choices"}');
INSERT INTO "eenas_measurements" VALUES('ef1b659811400fbff48bd21f48d4a099e3ecbb0846a1ac1518053a8c040f29b1','latency/branch/pool_fc mixed/de94891e8504cf19','{"median_ms": 0.041622, "p95_ms": 0.0543786, "spread": 0.10057181298351839, "repeats": 29, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, eager", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.040199, "high_ms": 0.044385, "rejected": 1, "doubtful": false, "reference_ms": 0.146938}');
INSERT INTO "eenas_measurements" VALUES('0cb98a400e911695653bf331208f0b2ab9059f43c39dc0b07926b286b1c0b0a5','latency/branch/pool_fc mixed/8b321d55c3d41bda','{"median_ms": 0.046158000000000005, "p95_ms": 0.055289500000000005, "spread": 0.1925072576801419, "repeats": 6, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, eager", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.044145500000000004, "high_ms": 0.053031249999999995, "rejected": 0, "doubtful": false, "reference_ms": 0.147138}');
INSERT INTO "eenas_measurements" VALUES('cf41e8b92d2a678c0b861da6d0f31f5197ea65a0c64bcfbf4ca57a2e40bfa8fc','latency/branch/fc/f7d6734bcf3b2414','{"median_ms": 0.014251, "p95_ms": 0.0150169, "spread": 0.06146937057048641, "repeats": 3, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, eager", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.0138005, "high_ms": 0.0146765, "rejected": 1, "doubtful": false, "reference_ms": 0.136442}');
INSERT INTO "eenas_measurements" VALUES('30f8a2c53c98ba494c45d1566de7c51620d5a0a4036f0f0d20ff97cc21203336','latency/branch/fc/627d12df58997a58','{"median_ms": 0.015172999999999999, "p95_ms": 0.02840225, "spread": 0.33183945165754947, "repeats": 6, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, eager", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.014529, "high_ms": 0.019563999999999998, "rejected": 0, "doubtful": false, "reference_ms": 0.155771}');
CREATE TABLE eenas_prepared (
	"key" TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "eenas_prepared" VALUES('4080bf61afb9b70c','{"key": "4080bf61afb9b70c", "backbone": "module:Sequential", "task": "393419dbfd477cd8", "training": "470b5aa40dc43f97", "seed": 0, "artifact": "backbone-4080bf61afb9b70c-0e7f05e9.safetensors@sha256:b6bf72c91a1ff5cef9a9d189b2e2a41d8cfe3b529d1bcb1e2e2993bcc30659c0", "accuracy": 0.55, "how": "trained on all of train"}');
CREATE TABLE eenas_schema (
	id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "eenas_schema" VALUES(1,1);
CREATE TABLE eenas_studies (
	name TEXT NOT NULL, 
	identity_digest TEXT NOT NULL, 
	created TEXT NOT NULL, 
	body TEXT NOT NULL, 
	baselines TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "eenas_studies" VALUES('Sequential-smallest-3a4206','3a420636d32a67e4','2026-11-26T07:03:14.294122+00:00','{"identity": {"task": "393419dbfd477cd8", "backbone": "56325add0dffca87", "backbone_name": "Sequential", "weights": "none", "space": "474ce730578d3e0f", "space_version": 2, "training": {"epochs": 0.5, "batch_size": 16, "warmup": 0.1, "augment": true, "precision": "float32", "channels_last": false, "small_maps": false, "clip": 5.0}, "prepare": {"when": "always", "training": {"epochs": 3.0, "batch_size": 16, "warmup": 0.1, "augment": true, "precision": "float32", "channels_last": false, "small_maps": false, "clip": 5.0}, "optimizer": "adamw", "learning_rate": 0.001, "weight_decay": 0.05, "backbone_rate": 0.1}, "bank": {"use": true, "share": 1.0, "branches": 32, "designs": 4, "feature_cache": false}, "objectives": ["accuracy", "macs", "latency"], "sampler": "tpe", "constraints": {}, "latency": {"runtime": "torch", "batch": 1, "warmup": 1, "min_repeats": 2, "max_repeats": 200, "spread": 0.05, "seconds": 0.01, "dtype": "float32"}, "device": "CPU: AMD EPYC", "seed": 0}, "settings": {"backbone": {"name": "Sequential", "weights": "none", "cut_points": "blocks"}, "task": {"spec": "smallest", "splits": {"seed": 0}, "held_out": "train", "skip_bad": false, "without": []}, "space": {"version": 2, "branches": 3, "cost_cap": 0.1, "placement": {"kind": ["uniform", "free"], "metric": "macs", "distribution": "linear", "cost_weight": 0.3, "count": 0}, "branch": {"on": [true, false], "depth": {"low": 0.0, "high": 1.0}, "structure": ["fc", "pool_fc", "conv_pool_fc"], "width": [16, 32], "layers": 1, "pool": ["avg", "mixed"]}, "network": {"cascade": false}, "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": {"low": 0.2, "high": 1.0}, "per_exit": false, "ensemble": "none", "final_rule": "last"}}, "training": {"epochs": 0.5, "batch_size": 16, "warmup": 0.1, "augment": true, "precision": "float32", "channels_last": false, "small_maps": false, "clip": 5.0}, "full_training": {"epochs": 1.0, "batch_size": 16, "warmup": 0.1, "augment": true, "precision": "float32", "channels_last": false, "small_maps": false, "clip": 5.0}, "baselines": {"static": 0}, "prepare": {"when": "always", "training": {"epochs": 3.0, "batch_size": 16, "warmup": 0.1, "augment": true, "precision": "float32", "channels_last": false, "small_maps": false, "clip": 5.0}, "optimizer": "adamw", "learning_rate": 0.001, "weight_decay": 0.05, "backbone_rate": 0.1}, "bank": {"use": true, "share": 1.0, "branches": 32, "designs": 4, "earlier": 4, "feature_cache": ""}, "latency": {"runtime": "torch", "batch": 1, "warmup": 1, "min_repeats": 2, "max_repeats": 200, "spread": 0.05, "seconds": 0.01, "dtype": "float32"}, "search": {"trials": 4, "sampler": "tpe", "objectives": ["accuracy", "macs", "latency"], "accuracy": "plain", "known_designs": true, "stop_hopeless": true}, "constraints": {}, "seed": 0}, "facts": {"backbone": {"name": "module:Sequential", "weights": "own", "accuracy": 0.55, "macs": 87684, "parameters": 8556, "latency_ms": 0.143963}, "task": "smallest", "classes": ["top left", "top right", "bottom left", "bottom right"], "device": "CPU: AMD EPYC", "execution": "float32, contiguous", "profile": {"backbone": "module:Sequential", "cut_points": [{"name": "0", "shape": {"dims": [8, 8, 8], "channels_last": false, "prefix_tokens": 0, "class_token": true, "is_set": false}, "block_end": true}, {"name": "1", "shape": {"dims": [16, 4, 4], "channels_last": false, "prefix_tokens": 0, "class_token": true, "is_set": false}, "block_end": true}, {"name": "2", "shape": {"dims": [16, 4, 4], "channels_last": false, "prefix_tokens": 0, "class_token": true, "is_set": false}, "block_end": true}, {"name": "3", "shape": {"dims": [32, 2, 2], "channels_last": false, "prefix_tokens": 0, "class_token": true, "is_set": false}, "block_end": true}], "macs": [13824, 32256, 69120, 87552], "total_macs": 87684, "parameters": [232, 1416, 3752, 8424], "total_parameters": 8556, "latency_ms": [{"median_ms": 0.05423, "p95_ms": 0.0650282, "spread": 0.26749031901161713, "repeats": 3, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.045723, "high_ms": 0.060229, "rejected": 0, "doubtful": false, "reference_ms": null}, {"median_ms": 0.059669, "p95_ms": 0.059669, "spread": 0.0, "repeats": 1, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.059669, "high_ms": 0.059669, "rejected": 2, "doubtful": false, "reference_ms": null}, {"median_ms": 0.0811355, "p95_ms": 0.08316815, "spread": 0.027836150636897664, "repeats": 2, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.08000625, "high_ms": 0.08226475, "rejected": 1, "doubtful": false, "reference_ms": null}, {"median_ms": 0.1449045, "p95_ms": 0.18403155, "spread": 0.30002173845532737, "repeats": 2, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.12316725, "high_ms": 0.16664175, "rejected": 1, "doubtful": false, "reference_ms": null}], "total_latency": {"median_ms": 0.143963, "p95_ms": 0.143963, "spread": 0.0, "repeats": 1, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, one program", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.143963, "high_ms": 0.143963, "rejected": 2, "doubtful": false, "reference_ms": null}, "plain_latency": {"median_ms": 0.189381, "p95_ms": 0.23583539999999997, "spread": 0.27255110069119903, "repeats": 2, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, the module", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.163573, "high_ms": 0.215189, "rejected": 1, "doubtful": false, "reference_ms": null}, "decision": {"median_ms": 0.04701525, "p95_ms": 0.049297521962447084, "spread": 0.17393904852569084, "repeats": 3, "device": "CPU: AMD EPYC", "runtime": "torch 2.14.1+cu130, the loop of predict", "threads": 1, "batch": 1, "dtype": "float32", "low_ms": 0.040105391016828675, "high_ms": 1.9736081361794473, "rejected": 0, "doubtful": true, "reference_ms": null}, "joints": {"cut_ms": [0.0, 0.0, 0.0, 0.0], "call_ms": 0.0, "entry_ms": 0.01862225}, "uncounted": []}, "latency_profile": null, "folder": "/home/user/project", "validation_samples": 60, "largest_class": 0.25, "weights": null, "warnings": [], "left_out": [], "data": "data-393419dbfd477cd8.bin@sha256:6b9b726455e9eacb8c7fa17a026b5c6ef5d5553d3fe84f9f2c6fd436d09956ab"}}','{"networks": [{"name": "backbone", "kind": "plain", "design": {"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [], "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 0.5, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {}}, "points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [1.0], "thresholds": []}, "accuracy": 0.55, "expected_macs": 87684.0, "worst_macs": 87684.0, "shares": [1.0], "exit_accuracy": [0.55], "expected_latency_ms": 0.143963, "worst_latency_ms": 0.143963}], "right": ["60:eNpbMtlBu/7vlQsAEu8Eww=="], "parameters": 8556, "artifacts": {"calibration": "table-backbone-calibration-0837579f.npz@sha256:bca9fd0d0483e518d1c5580f16010ff5224d6db054b7281fdc4ac480f47bb91d", "validation": "table-backbone-validation-0837579f.npz@sha256:33b5d3edef3a4f7ef1b2859067df477c76bc60ae8bc81b823b853bb4cd6ea8e7"}}, {"name": "frozen 1", "kind": "frozen", "design": {"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [{"cut_point": "0", "branch": {"kind": "pool_fc", "pool": "mixed", "size": 4}}], "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 0.5, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {}}, "points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.19873492554124325, 0.25165994345910964], "thresholds": [0.0]}, "accuracy": 0.6333333333333333, "expected_macs": 14344.0, "worst_macs": 14344.0, "shares": [1.0, 0.0], "exit_accuracy": [0.6333333333333333, null], "expected_latency_ms": 0.1614895, "worst_latency_ms": 0.1614895}], "right": ["60:eNp7N+H3/1NrfjUAAB3lBmk="], "parameters": 9073, "artifacts": {"calibration": "table-frozen-1-calibration-fab7a724.npz@sha256:60bd3c5876632e0a3f4e7b1fc88d540b288039f20e66bf2e0990b4186d280ec1", "validation": "table-frozen-1-validation-fab7a724.npz@sha256:85acc9408234fe5b114d660c1acc964b245905b0c23da02e8e79558316d33569"}}, {"name": "static 0", "kind": "static", "design": {"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [{"cut_point": "0", "branch": {"kind": "pool_fc", "pool": "mixed", "size": 4}}], "static": true, "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 1.0, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {}}, "points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.19873492554124325], "thresholds": []}, "accuracy": 0.6333333333333333, "expected_macs": 14340.0, "worst_macs": 14340.0, "shares": [1.0], "exit_accuracy": [0.6333333333333333], "expected_latency_ms": 0.1614895, "worst_latency_ms": 0.1614895}], "right": ["60:eNp7N+H3/1NrfjUAAB3lBmk="], "parameters": 749, "artifacts": {"calibration": "table-static-0-calibration-81c114ff.npz@sha256:da21e1f612ea897aa7705eb000d0c2844ff300c0c55cd4271c0ff9cdfee2b60b", "validation": "table-static-0-validation-81c114ff.npz@sha256:30194e8ce3ab3dcf624fd38d7ae879f8877e661c429632a2c8a44c594117a34e"}}, {"name": "static 1", "kind": "static", "design": {"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [{"cut_point": "1", "branch": {"kind": "pool_fc", "pool": "mixed", "size": 4}}], "static": true, "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 1.0, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {}}, "points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.31837310812811426], "thresholds": []}, "accuracy": 0.48333333333333334, "expected_macs": 33284.0, "worst_macs": 33284.0, "shares": [1.0], "exit_accuracy": [0.48333333333333334], "expected_latency_ms": 0.17146450000000002, "worst_latency_ms": 0.17146450000000002}], "right": ["60:eNo7NvH+O2YengIAFMcDsA=="], "parameters": 2445, "artifacts": {"calibration": "table-static-1-calibration-34ba1de4.npz@sha256:d11399a0ab694a20a3dff1fc769ef08aacc181f436952db08b131d55576ac3b4", "validation": "table-static-1-validation-34ba1de4.npz@sha256:b1f812e8257d195bcc3ae4cbbdc4e86a2f3ac41548941356f0728bdae5d92128"}}, {"name": "static 2", "kind": "static", "design": {"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [{"cut_point": "2", "branch": {"kind": "pool_fc", "pool": "mixed", "size": 4}}], "static": true, "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 1.0, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {}}, "points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.34244929145020175], "thresholds": []}, "accuracy": 0.5166666666666667, "expected_macs": 70148.0, "worst_macs": 70148.0, "shares": [1.0], "exit_accuracy": [0.5166666666666667], "expected_latency_ms": 0.19293100000000002, "worst_latency_ms": 0.19293100000000002}], "right": ["60:eNprE3y/tjO9bwIAEq8EQg=="], "parameters": 4781, "artifacts": {"calibration": "table-static-2-calibration-f49e1588.npz@sha256:2acad9915dc6fd2d83f27dae3033ae343ecb885a461ede62a48ecad57736c395", "validation": "table-static-2-validation-f49e1588.npz@sha256:510258052c3ee90ac727cfa35f78b43df354f7946494257c77333d5e7310854a"}}]}');
CREATE TABLE eenas_tokens (
	study TEXT NOT NULL, 
	token TEXT NOT NULL, 
	PRIMARY KEY (study)
);
INSERT INTO "eenas_tokens" VALUES('Sequential-smallest-3a4206','777942c933f7483a9fd0dff0c0813a63');
CREATE TABLE eenas_trials (
	study TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	design_digest TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (study, number)
);
INSERT INTO "eenas_trials" VALUES('Sequential-smallest-3a4206',0,'complete','144ce76419754d3b','{"study": "Sequential-smallest-3a4206", "number": 0, "state": "complete", "design_digest": "144ce76419754d3b", "design": {"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [{"cut_point": "0", "branch": {"kind": "pool_fc", "pool": "mixed", "size": 4}}], "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 0.5, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {"space": {"name": "", "version": 2, "digest": "474ce730578d3e0f"}, "placement": {"kind": "uniform"}, "repairs": ["slot 3: at 2, conv_pool_fc 1x16 avg costs 9,476 MACs, over the cap of 1,856; dropped"]}}, "points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.16381001894082942, 0.2507358274836887], "thresholds": [0.0]}, "accuracy": 0.7, "expected_macs": 14344.0, "worst_macs": 14344.0, "shares": [1.0, 0.0], "exit_accuracy": [0.7, null], "expected_latency_ms": 0.1614895, "worst_latency_ms": 0.1614895}], "right": ["60:eNp7deHl7tf//l0AAB+XBxY="], "parameters": 9073, "chosen": {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.16381001894082942, 0.2507358274836887], "thresholds": [0.0]}, "accuracy": 0.7, "expected_macs": 14344.0, "worst_macs": 14344.0, "shares": [1.0, 0.0], "exit_accuracy": [0.7, null], "expected_latency_ms": 0.1614895, "worst_latency_ms": 0.1614895}, "values": [0.7, 14344.0, 0.1614895], "exit_accuracy": [0.7, 0.5666666666666667], "frozen_points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.19873492554124325, 0.25165994345910964], "thresholds": [0.0]}, "accuracy": 0.6333333333333333, "expected_macs": 14344.0, "worst_macs": 14344.0, "shares": [1.0, 0.0], "exit_accuracy": [0.6333333333333333, null], "expected_latency_ms": 0.1614895, "worst_latency_ms": 0.1614895}], "frozen_right": ["60:eNp7N+H3/1NrfjUAAB3lBmk="], "violations": {}, "seconds": 0.5690942399996857, "samples": 128, "reason": null, "origin": "frozen front: 1", "artifacts": {"calibration": "7d47326d-eff6-473a-9892-a00f9b27f144@sha256:50584ec6b4a9c9adfe41ef32e5597cbd9831b4bd932b9eb14e2d104e5601c269", "validation": "60e9796e-2c79-4347-9c33-926c58db1439@sha256:3c38e265599b1fd98cf2cb7f3ee9b128f73f67e87590f663bde91132238353a2", "frozen calibration": "b1f60fdf-989e-410d-84fc-92391728e8dc@sha256:60bd3c5876632e0a3f4e7b1fc88d540b288039f20e66bf2e0990b4186d280ec1", "frozen validation": "75afcaea-aecd-4183-864c-3e4c3ad98b95@sha256:85acc9408234fe5b114d660c1acc964b245905b0c23da02e8e79558316d33569"}}');
INSERT INTO "eenas_trials" VALUES('Sequential-smallest-3a4206',1,'complete','f80860cab742b62a','{"study": "Sequential-smallest-3a4206", "number": 1, "state": "complete", "design_digest": "f80860cab742b62a", "design": {"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [], "training": {"strategy": "joint", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 1.0, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {"space": {"name": "", "version": 2, "digest": "474ce730578d3e0f"}, "placement": {"kind": "uniform"}, "repairs": []}}, "points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.25165994345910964], "thresholds": []}, "accuracy": 0.55, "expected_macs": 87684.0, "worst_macs": 87684.0, "shares": [1.0], "exit_accuracy": [0.55], "expected_latency_ms": 0.20960050000000002, "worst_latency_ms": 0.20960050000000002}], "right": ["60:eNpbMtlBu/7vlQsAEu8Eww=="], "parameters": 8556, "chosen": {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.25165994345910964], "thresholds": []}, "accuracy": 0.55, "expected_macs": 87684.0, "worst_macs": 87684.0, "shares": [1.0], "exit_accuracy": [0.55], "expected_latency_ms": 0.20960050000000002, "worst_latency_ms": 0.20960050000000002}, "values": [0.55, 87684.0, 0.20960050000000002], "exit_accuracy": [0.55], "frozen_points": [], "frozen_right": [], "violations": {}, "seconds": 0.03256454800066422, "samples": 0, "reason": null, "origin": "known: no branch", "artifacts": {"calibration": "1723a4bf-da7a-4621-ae5d-6a252a86115e@sha256:bca9fd0d0483e518d1c5580f16010ff5224d6db054b7281fdc4ac480f47bb91d", "validation": "fd155675-6d15-4631-a0fd-ea01c3dd4808@sha256:33b5d3edef3a4f7ef1b2859067df477c76bc60ae8bc81b823b853bb4cd6ea8e7"}}');
INSERT INTO "eenas_trials" VALUES('Sequential-smallest-3a4206',2,'stopped','548bfdd9f5d2ffd3','{"study": "Sequential-smallest-3a4206", "number": 2, "state": "stopped", "design_digest": "548bfdd9f5d2ffd3", "design": {"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [{"cut_point": "0", "branch": {"kind": "fc"}}, {"cut_point": "2", "branch": {"kind": "fc"}}], "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 0.5, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {"space": {"name": "", "version": 2, "digest": "474ce730578d3e0f"}, "placement": {"kind": "uniform"}, "repairs": []}}, "points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33737897479603884, 0.5992037948353616, 0.25986040531396515], "thresholds": [0.0, 0.0]}, "accuracy": 0.45, "expected_macs": 15880.0, "worst_macs": 15880.0, "shares": [1.0, 0.0, 0.0], "exit_accuracy": [0.45, null, null], "expected_latency_ms": 0.1341185, "worst_latency_ms": 0.1341185}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33737897479603884, 0.5992037948353616, 0.25986040531396515], "thresholds": [0.3013126916689941, 0.3013126916689941]}, "accuracy": 0.45, "expected_macs": 15880.0, "worst_macs": 90772.0, "shares": [1.0, 0.0, 0.0], "exit_accuracy": [0.45, null, null], "expected_latency_ms": 0.1341185, "worst_latency_ms": 0.33305500000000005}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33737897479603884, 0.5992037948353616, 0.25986040531396515], "thresholds": [0.3259398276936387, 0.3259398276936387]}, "accuracy": 0.4666666666666667, "expected_macs": 22761.0, "worst_macs": 90772.0, "shares": [0.8833333333333333, 0.1, 0.016666666666666666], "exit_accuracy": [0.4716981132075472, 0.3333333333333333, 1.0], "expected_latency_ms": 0.14634348333333333, "worst_latency_ms": 0.33305500000000005}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33737897479603884, 0.5992037948353616, 0.25986040531396515], "thresholds": [0.3322617873359267, 0.3322617873359267]}, "accuracy": 0.48333333333333334, "expected_macs": 25876.2, "worst_macs": 90772.0, "shares": [0.85, 0.06666666666666667, 0.08333333333333333], "exit_accuracy": [0.49019607843137253, 0.25, 0.6], "expected_latency_ms": 0.156636125, "worst_latency_ms": 0.33305500000000005}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33737897479603884, 0.5992037948353616, 0.25986040531396515], "thresholds": [0.41143523025197215, 0.41143523025197215]}, "accuracy": 0.5333333333333333, "expected_macs": 42412.2, "worst_macs": 90772.0, "shares": [0.6333333333333333, 0.05, 0.31666666666666665], "exit_accuracy": [0.5789473684210527, 0.3333333333333333, 0.47368421052631576], "expected_latency_ms": 0.20156974583333337, "worst_latency_ms": 0.33305500000000005}], "right": ["60:eNr7blOUwMoecAEAD4kDMg==", "60:eNr7blOUwMoecAEAD4kDMg==", "60:eNr7bluU4MIecAEAEIwDcg==", "60:eNr7bluU4MoecAEAEJADcw==", "60:eNr7bl2UmOoacgEAEckD1A=="], "parameters": 11636, "chosen": {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33737897479603884, 0.5992037948353616, 0.25986040531396515], "thresholds": [0.3322617873359267, 0.3322617873359267]}, "accuracy": 0.48333333333333334, "expected_macs": 25876.2, "worst_macs": 90772.0, "shares": [0.85, 0.06666666666666667, 0.08333333333333333], "exit_accuracy": [0.49019607843137253, 0.25, 0.6], "expected_latency_ms": 0.156636125, "worst_latency_ms": 0.33305500000000005}, "values": [0.48333333333333334, 25876.2, 0.156636125], "exit_accuracy": [0.45, 0.4166666666666667, 0.55], "frozen_points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.5881065502176293, 1.8829817548250862, 0.25165994345910964], "thresholds": [0.0, 0.0]}, "accuracy": 0.38333333333333336, "expected_macs": 15880.0, "worst_macs": 15880.0, "shares": [1.0, 0.0, 0.0], "exit_accuracy": [0.38333333333333336, null, null], "expected_latency_ms": 0.1341185, "worst_latency_ms": 0.1341185}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.5881065502176293, 1.8829817548250862, 0.25165994345910964], "thresholds": [0.3342596859080529, 0.3342596859080529]}, "accuracy": 0.4, "expected_macs": 19624.6, "worst_macs": 90772.0, "shares": [0.95, 0.0, 0.05], "exit_accuracy": [0.40350877192982454, null, 0.3333333333333333], "expected_latency_ms": 0.14406532500000002, "worst_latency_ms": 0.33305500000000005}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.5881065502176293, 1.8829817548250862, 0.25165994345910964], "thresholds": [0.4179053572584733, 0.4179053572584733]}, "accuracy": 0.5, "expected_macs": 48333.2, "worst_macs": 90772.0, "shares": [0.5666666666666667, 0.0, 0.43333333333333335], "exit_accuracy": [0.5294117647058824, null, 0.46153846153846156], "expected_latency_ms": 0.2203243166666667, "worst_latency_ms": 0.33305500000000005}], "frozen_right": ["60:eNr7vLD+DwODAwMAFG0DUA==", "60:eNr7vLD+DwODCwMAFHUDVA==", "60:eNr7PrGuglH0ygQAE34D+Q=="], "violations": {}, "seconds": 0.6391541050033993, "samples": 64, "reason": "pruned: its curve stayed below the frozen front at every cost", "origin": "known: uniform 2 fc", "artifacts": {"calibration": "4abe190c-c0ea-4938-8677-72496b974374@sha256:5776cd1b3b21d58dcc45bf342b0048b3765c203f25a278b3d239aa6a1c14a8d2", "validation": "bc1849ce-6daa-447f-becf-9ff75c136295@sha256:e7280686d307c2a7f0f50f0b4a51230074e80febcfc5382b150a0b6747d9858a", "frozen calibration": "dbf1d35e-0801-42c9-a51c-71da18b2fe3a@sha256:074a48e4daff5d19fa7e9bce6914c8b5ceec8543e4b39c420b682d480435620e", "frozen validation": "a72f9279-26a4-4e11-8b33-500832cf724b@sha256:17095fa5f5b2af0505f33f5703a27d335c55f34b192c198a7caf189a981f74fa"}}');
INSERT INTO "eenas_trials" VALUES('Sequential-smallest-3a4206',3,'stopped','b2a8fa886c36bf53','{"study": "Sequential-smallest-3a4206", "number": 3, "state": "stopped", "design_digest": "b2a8fa886c36bf53", "design": {"format": 1, "backbone": "module:Sequential", "num_classes": 4, "input_size": 8, "branches": [{"cut_point": "0", "branch": {"kind": "fc"}}, {"cut_point": "1", "branch": {"kind": "fc"}}, {"cut_point": "2", "branch": {"kind": "fc"}}], "training": {"strategy": "distillation", "hybrid": "mixed", "teacher": "backbone", "distillation_temperature": 3.0, "distillation_weight": 0.9, "loss_weights": "equal", "final_weight": 4.0, "gradient_equilibrium": false, "optimizer": "sgd", "learning_rate": 0.02, "backbone_rate": 0.3, "weight_decay": 0.0005, "label_smoothing": 0.0, "weight_average": 0.0, "patience": 0}, "policy": {"kind": "threshold", "score": "max_softmax", "target_macs": 0.5, "per_exit": false, "ensemble": "none", "final_rule": "last"}, "provenance": {"space": {"name": "", "version": 2, "digest": "474ce730578d3e0f"}, "placement": {"kind": "uniform"}, "repairs": []}}, "points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33094771055956523, 0.38240200342143554, 0.5306606745854, 0.25720789106234276], "thresholds": [0.0, 0.0, 0.0]}, "accuracy": 0.48333333333333334, "expected_macs": 15880.0, "worst_macs": 15880.0, "shares": [1.0, 0.0, 0.0, 0.0], "exit_accuracy": [0.48333333333333334, null, null, null], "expected_latency_ms": 0.1341185, "worst_latency_ms": 0.1341185}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33094771055956523, 0.38240200342143554, 0.5306606745854, 0.25720789106234276], "thresholds": [0.3267945032324038, 0.3267945032324038, 0.3267945032324038]}, "accuracy": 0.5, "expected_macs": 17826.4, "worst_macs": 91804.0, "shares": [0.9, 0.1, 0.0, 0.0], "exit_accuracy": [0.5, 0.5, null, null], "expected_latency_ms": 0.14088122499999997, "worst_latency_ms": 0.39524325}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33094771055956523, 0.38240200342143554, 0.5306606745854, 0.25720789106234276], "thresholds": [0.32783401444050986, 0.32783401444050986, 0.32783401444050986]}, "accuracy": 0.48333333333333334, "expected_macs": 18150.8, "worst_macs": 91804.0, "shares": [0.8833333333333333, 0.11666666666666667, 0.0, 0.0], "exit_accuracy": [0.49056603773584906, 0.42857142857142855, null, null], "expected_latency_ms": 0.14200834583333333, "worst_latency_ms": 0.39524325}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33094771055956523, 0.38240200342143554, 0.5306606745854, 0.25720789106234276], "thresholds": [0.5226589002420625, 0.5226589002420625, 0.5226589002420625]}, "accuracy": 0.6, "expected_macs": 59000.2, "worst_macs": 91804.0, "shares": [0.2833333333333333, 0.2, 0.0, 0.5166666666666667], "exit_accuracy": [0.7647058823529411, 0.5833333333333334, null, 0.5161290322580645], "expected_latency_ms": 0.2825584041666667, "worst_latency_ms": 0.39524325}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33094771055956523, 0.38240200342143554, 0.5306606745854, 0.25720789106234276], "thresholds": [0.5339776376666219, 0.5339776376666219, 0.5339776376666219]}, "accuracy": 0.6166666666666667, "expected_macs": 61838.2, "worst_macs": 91804.0, "shares": [0.26666666666666666, 0.16666666666666666, 0.016666666666666666, 0.55], "exit_accuracy": [0.75, 0.6, 1.0, 0.5454545454545454], "expected_latency_ms": 0.29152968749999997, "worst_latency_ms": 0.39524325}], "right": ["60:eNr7blOUoMoedAEAEA0DVA==", "60:eNr7XluUwMoedAEAEVQDdQ==", "60:eNr7XluUwMoecAEAEVADcw==", "60:eNr7ruzzPv7glQsAFV8FGg==", "60:eNr7ruzzPv7hlQsAFb8FOg=="], "parameters": 12664, "chosen": {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.33094771055956523, 0.38240200342143554, 0.5306606745854, 0.25720789106234276], "thresholds": [0.32783401444050986, 0.32783401444050986, 0.32783401444050986]}, "accuracy": 0.48333333333333334, "expected_macs": 18150.8, "worst_macs": 91804.0, "shares": [0.8833333333333333, 0.11666666666666667, 0.0, 0.0], "exit_accuracy": [0.49056603773584906, 0.42857142857142855, null, null], "expected_latency_ms": 0.14200834583333333, "worst_latency_ms": 0.39524325}, "values": [0.48333333333333334, 18150.8, 0.14200834583333333], "exit_accuracy": [0.48333333333333334, 0.4166666666666667, 0.4666666666666667, 0.5666666666666667], "frozen_points": [{"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.5881065502176293, 0.7622901753508777, 1.8829817548250862, 0.25165994345910964], "thresholds": [0.0, 0.0, 0.0]}, "accuracy": 0.38333333333333336, "expected_macs": 15880.0, "worst_macs": 15880.0, "shares": [1.0, 0.0, 0.0, 0.0], "exit_accuracy": [0.38333333333333336, null, null, null], "expected_latency_ms": 0.1341185, "worst_latency_ms": 0.1341185}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.5881065502176293, 0.7622901753508777, 1.8829817548250862, 0.25165994345910964], "thresholds": [0.4179053572584733, 0.4179053572584733, 0.4179053572584733]}, "accuracy": 0.55, "expected_macs": 39370.4, "worst_macs": 91804.0, "shares": [0.5666666666666667, 0.16666666666666666, 0.0, 0.26666666666666666], "exit_accuracy": [0.5294117647058824, 0.5, null, 0.625], "expected_latency_ms": 0.215022975, "worst_latency_ms": 0.39524325}, {"policy": {"kind": "threshold", "score": "max_softmax", "temperatures": [0.5881065502176293, 0.7622901753508777, 1.8829817548250862, 0.25165994345910964], "thresholds": [0.5195253314157364, 0.5195253314157364, 0.5195253314157364]}, "accuracy": 0.5833333333333334, "expected_macs": 71297.6, "worst_macs": 91804.0, "shares": [0.18333333333333332, 0.11666666666666667, 0.0, 0.7], "exit_accuracy": [0.6363636363636364, 0.7142857142857143, null, 0.5476190476190477], "expected_latency_ms": 0.3247956708333333, "worst_latency_ms": 0.39524325}], "frozen_right": ["60:eNr7vLD+DwODAwMAFG0DUA==", "60:eNr7PvH/H0bBKxMAGQwE+g==", "60:eNp7Mvndq9yZVy4AABtKBfo="], "violations": {}, "seconds": 0.48218475400062744, "samples": 64, "reason": "pruned: its curve stayed below the frozen front at every cost", "origin": "known: uniform 3 fc", "artifacts": {"calibration": "5f258863-ccd4-44c6-9082-e11586fb7082@sha256:2ac8adfa20d11f501297de43444bbc5c7d7fecc4268913e4c8c8292ff820feb6", "validation": "5c6ed52d-7527-48e5-ab22-13e209ebab6e@sha256:c12c9b777dcee6caa0268d099c698a86b5b687119a630c3eedffce2d2e555e44", "frozen calibration": "c472c214-1ee7-4484-aa41-5193849024ee@sha256:3bfad9431b78398ba06857c661044c22d1acf9d44f3ed91c791b4e622824a42f", "frozen validation": "0da5097c-67d7-4f6d-b552-af0570b61bb6@sha256:178bcb1f283599422b69901723b51eef614e89e2f28a1899d5fc00e804515b7d"}}');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'Sequential-smallest-3a4206');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MINIMIZE',1,1);
INSERT INTO "study_directions" VALUES(3,'MINIMIZE',1,2);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["accuracy", "expected MACs", "expected ms"]');
INSERT INTO "study_system_attributes" VALUES(2,1,'eenas:token','"777942c933f7483a9fd0dff0c0813a63"');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_heartbeats" VALUES(1,1,'2026-11-26 07:03:18');
INSERT INTO "trial_heartbeats" VALUES(2,2,'2026-11-26 07:03:19');
INSERT INTO "trial_heartbeats" VALUES(3,3,'2026-11-26 07:03:19');
INSERT INTO "trial_heartbeats" VALUES(4,4,'2026-11-26 07:03:21');
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'placement.kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["uniform", "free"]}}');
INSERT INTO "trial_params" VALUES(2,1,'slot1.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(3,1,'slot1.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(4,1,'slot1.structure',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(5,1,'slot1.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(6,1,'slot1.pool',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(7,1,'slot2.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(8,1,'slot2.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(9,1,'slot2.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(10,1,'slot2.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(11,1,'slot2.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(12,1,'slot3.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(13,1,'slot3.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(14,1,'slot3.structure',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(15,1,'slot3.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(16,1,'slot3.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(17,1,'policy.target_macs',0.5,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.2, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(18,2,'placement.kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["uniform", "free"]}}');
INSERT INTO "trial_params" VALUES(19,2,'slot1.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(20,2,'slot1.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(21,2,'slot1.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(22,2,'slot1.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(23,2,'slot1.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(24,2,'slot2.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(25,2,'slot2.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(26,2,'slot2.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(27,2,'slot2.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(28,2,'slot2.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(29,2,'slot3.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(30,2,'slot3.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(31,2,'slot3.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(32,2,'slot3.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(33,2,'slot3.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(34,2,'policy.target_macs',1.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.2, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(35,3,'placement.kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["uniform", "free"]}}');
INSERT INTO "trial_params" VALUES(36,3,'slot1.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(37,3,'slot1.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(38,3,'slot1.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(39,3,'slot1.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(40,3,'slot1.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(41,3,'slot2.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(42,3,'slot2.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(43,3,'slot2.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(44,3,'slot2.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(45,3,'slot2.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(46,3,'slot3.on',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(47,3,'slot3.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(48,3,'slot3.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(49,3,'slot3.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(50,3,'slot3.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(51,3,'policy.target_macs',0.5,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.2, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(52,4,'placement.kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["uniform", "free"]}}');
INSERT INTO "trial_params" VALUES(53,4,'slot1.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(54,4,'slot1.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(55,4,'slot1.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(56,4,'slot1.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(57,4,'slot1.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(58,4,'slot2.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(59,4,'slot2.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(60,4,'slot2.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(61,4,'slot2.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(62,4,'slot2.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(63,4,'slot3.on',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(64,4,'slot3.depth',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(65,4,'slot3.structure',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fc", "pool_fc", "conv_pool_fc"]}}');
INSERT INTO "trial_params" VALUES(66,4,'slot3.width',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}');
INSERT INTO "trial_params" VALUES(67,4,'slot3.pool',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["avg", "mixed"]}}');
INSERT INTO "trial_params" VALUES(68,4,'policy.target_macs',0.5,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.2, "high": 1.0, "log": false}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'fixed_params','{"placement.kind": "uniform", "slot1.on": true, "slot1.depth": 0.0, "slot1.structure": "pool_fc", "slot1.width": 16, "slot1.pool": "mixed", "slot2.on": false, "slot2.depth": 0.0, "slot2.structure": "fc", "slot2.width": 16, "slot2.pool": "avg", "slot3.on": true, "slot3.depth": 0.0, "slot3.structure": "conv_pool_fc", "slot3.width": 16, "slot3.pool": "avg", "policy.target_macs": 0.5}');
INSERT INTO "trial_system_attributes" VALUES(2,2,'fixed_params','{"placement.kind": "uniform", "slot1.on": false, "slot1.depth": 0.0, "slot1.structure": "fc", "slot1.width": 16, "slot1.pool": "avg", "slot2.on": false, "slot2.depth": 0.0, "slot2.structure": "fc", "slot2.width": 16, "slot2.pool": "avg", "slot3.on": false, "slot3.depth": 0.0, "slot3.structure": "fc", "slot3.width": 16, "slot3.pool": "avg", "policy.target_macs": 1.0}');
INSERT INTO "trial_system_attributes" VALUES(3,3,'fixed_params','{"placement.kind": "uniform", "slot1.on": true, "slot1.depth": 0.0, "slot1.structure": "fc", "slot1.width": 16, "slot1.pool": "avg", "slot2.on": true, "slot2.depth": 0.0, "slot2.structure": "fc", "slot2.width": 16, "slot2.pool": "avg", "slot3.on": false, "slot3.depth": 0.0, "slot3.structure": "fc", "slot3.width": 16, "slot3.pool": "avg", "policy.target_macs": 0.5}');
INSERT INTO "trial_system_attributes" VALUES(4,4,'fixed_params','{"placement.kind": "uniform", "slot1.on": true, "slot1.depth": 0.0, "slot1.structure": "fc", "slot1.width": 16, "slot1.pool": "avg", "slot2.on": true, "slot2.depth": 0.0, "slot2.structure": "fc", "slot2.width": 16, "slot2.pool": "avg", "slot3.on": true, "slot3.depth": 0.0, "slot3.structure": "fc", "slot3.width": 16, "slot3.pool": "avg", "policy.target_macs": 0.5}');
INSERT INTO "trial_system_attributes" VALUES(5,1,'artifacts:7d47326d-eff6-473a-9892-a00f9b27f144','"{\"artifact_id\": \"7d47326d-eff6-473a-9892-a00f9b27f144\", \"filename\": \"exit_table_calibration.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(6,1,'artifacts:60e9796e-2c79-4347-9c33-926c58db1439','"{\"artifact_id\": \"60e9796e-2c79-4347-9c33-926c58db1439\", \"filename\": \"exit_table_validation.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(7,1,'artifacts:b1f60fdf-989e-410d-84fc-92391728e8dc','"{\"artifact_id\": \"b1f60fdf-989e-410d-84fc-92391728e8dc\", \"filename\": \"exit_table_frozen calibration.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(8,1,'artifacts:75afcaea-aecd-4183-864c-3e4c3ad98b95','"{\"artifact_id\": \"75afcaea-aecd-4183-864c-3e4c3ad98b95\", \"filename\": \"exit_table_frozen validation.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(9,1,'constraints:buildable','0.0');
INSERT INTO "trial_system_attributes" VALUES(10,2,'artifacts:1723a4bf-da7a-4621-ae5d-6a252a86115e','"{\"artifact_id\": \"1723a4bf-da7a-4621-ae5d-6a252a86115e\", \"filename\": \"exit_table_calibration.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(11,2,'artifacts:fd155675-6d15-4631-a0fd-ea01c3dd4808','"{\"artifact_id\": \"fd155675-6d15-4631-a0fd-ea01c3dd4808\", \"filename\": \"exit_table_validation.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(12,2,'constraints:buildable','0.0');
INSERT INTO "trial_system_attributes" VALUES(13,3,'artifacts:4abe190c-c0ea-4938-8677-72496b974374','"{\"artifact_id\": \"4abe190c-c0ea-4938-8677-72496b974374\", \"filename\": \"exit_table_calibration.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(14,3,'artifacts:bc1849ce-6daa-447f-becf-9ff75c136295','"{\"artifact_id\": \"bc1849ce-6daa-447f-becf-9ff75c136295\", \"filename\": \"exit_table_validation.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(15,3,'artifacts:dbf1d35e-0801-42c9-a51c-71da18b2fe3a','"{\"artifact_id\": \"dbf1d35e-0801-42c9-a51c-71da18b2fe3a\", \"filename\": \"exit_table_frozen calibration.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(16,3,'artifacts:a72f9279-26a4-4e11-8b33-500832cf724b','"{\"artifact_id\": \"a72f9279-26a4-4e11-8b33-500832cf724b\", \"filename\": \"exit_table_frozen validation.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(17,3,'constraints:buildable','0.0');
INSERT INTO "trial_system_attributes" VALUES(18,4,'artifacts:5f258863-ccd4-44c6-9082-e11586fb7082','"{\"artifact_id\": \"5f258863-ccd4-44c6-9082-e11586fb7082\", \"filename\": \"exit_table_calibration.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(19,4,'artifacts:5c6ed52d-7527-48e5-ab22-13e209ebab6e','"{\"artifact_id\": \"5c6ed52d-7527-48e5-ab22-13e209ebab6e\", \"filename\": \"exit_table_validation.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(20,4,'artifacts:c472c214-1ee7-4484-aa41-5193849024ee','"{\"artifact_id\": \"c472c214-1ee7-4484-aa41-5193849024ee\", \"filename\": \"exit_table_frozen calibration.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(21,4,'artifacts:0da5097c-67d7-4f6d-b552-af0570b61bb6','"{\"artifact_id\": \"0da5097c-67d7-4f6d-b552-af0570b61bb6\", \"filename\": \"exit_table_frozen validation.npz\", \"mimetype\": \"application/zip\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(22,4,'constraints:buildable','0.0');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'origin','"frozen front: 1"');
INSERT INTO "trial_user_attributes" VALUES(2,2,'origin','"known: no branch"');
INSERT INTO "trial_user_attributes" VALUES(3,3,'origin','"known: uniform 2 fc"');
INSERT INTO "trial_user_attributes" VALUES(4,4,'origin','"known: uniform 3 fc"');
INSERT INTO "trial_user_attributes" VALUES(5,1,'worker','"vm:23810"');
INSERT INTO "trial_user_attributes" VALUES(6,1,'design','"0 pool_fc mixed"');
INSERT INTO "trial_user_attributes" VALUES(7,1,'state','"complete"');
INSERT INTO "trial_user_attributes" VALUES(8,2,'worker','"vm:23810"');
INSERT INTO "trial_user_attributes" VALUES(9,2,'design','"no branch"');
INSERT INTO "trial_user_attributes" VALUES(10,2,'state','"complete"');
INSERT INTO "trial_user_attributes" VALUES(11,3,'worker','"vm:23810"');
INSERT INTO "trial_user_attributes" VALUES(12,3,'design','"0 fc, 2 fc"');
INSERT INTO "trial_user_attributes" VALUES(13,3,'state','"stopped"');
INSERT INTO "trial_user_attributes" VALUES(14,3,'reason','"pruned: its curve stayed below the frozen front at every cost"');
INSERT INTO "trial_user_attributes" VALUES(15,4,'worker','"vm:23810"');
INSERT INTO "trial_user_attributes" VALUES(16,4,'design','"0 fc, 1 fc, 2 fc"');
INSERT INTO "trial_user_attributes" VALUES(17,4,'state','"stopped"');
INSERT INTO "trial_user_attributes" VALUES(18,4,'reason','"pruned: its curve stayed below the frozen front at every cost"');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,0.7,'FINITE');
INSERT INTO "trial_values" VALUES(2,1,1,14344.0,'FINITE');
INSERT INTO "trial_values" VALUES(3,1,2,0.1614895,'FINITE');
INSERT INTO "trial_values" VALUES(4,2,0,0.55,'FINITE');
INSERT INTO "trial_values" VALUES(5,2,1,87684.0,'FINITE');
INSERT INTO "trial_values" VALUES(6,2,2,2.09600500000000022904e-01,'FINITE');
INSERT INTO "trial_values" VALUES(7,3,0,4.83333333333333337034e-01,'FINITE');
INSERT INTO "trial_values" VALUES(8,3,1,25876.2,'FINITE');
INSERT INTO "trial_values" VALUES(9,3,2,0.156636125,'FINITE');
INSERT INTO "trial_values" VALUES(10,4,0,4.83333333333333337034e-01,'FINITE');
INSERT INTO "trial_values" VALUES(11,4,1,18150.8,'FINITE');
INSERT INTO "trial_values" VALUES(12,4,2,1.42008345833333327057e-01,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-26 07:03:17.891504','2026-11-26 07:03:19.109350');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-26 07:03:19.405353','2026-11-26 07:03:19.831311');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-26 07:03:19.911381','2026-11-26 07:03:21.161787');
INSERT INTO "trials" VALUES(4,3,1,'COMPLETE','2026-11-26 07:03:21.372750','2026-11-26 07:03:22.415969');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE INDEX eenas_bank_by_backbone ON eenas_bank (backbone);
CREATE INDEX eenas_trials_by_design ON eenas_trials (study, design_digest);
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
